//! Seeing to it that what is blocked is not found, and that its holders know.

use std::collections::{BTreeMap, HashMap};

use choir_shared::control::{FromIndex, MAX_TOLD_BLOCKED};
use choir_shared::{FileId, PeerId};

use super::Index;
use crate::blocks::{Reason, Verdict};
use crate::store::{FileNo, IndexedFile, MemberNo, StoreError};

/// Files looked at between two breaths.
const BATCH: u32 = 5000;

/// Blocks that one peer is told of at once, each in a message: more would fill its line.
const MAX_REASONS: usize = 8;

impl Index {
    /// Looks at every file anew, after the rules have changed. Returns how many files are now blocked that were not,
    /// and tells their holders.
    pub(crate) async fn enforce_blocks(&self) -> Result<usize, StoreError> {
        let _one_at_a_time = self.enforcing.lock().await;
        let (mut after, mut blocked) = (FileNo(0), 0);
        while !self.stopping.is_cancelled() {
            let mut files = self.store.files_after(after, BATCH).await?;
            let Some(last) = files.last() else { break };
            after = last.no;
            let (hit, freed) = self.judge(&mut files);
            blocked += hit.len();
            let changed: Vec<FileNo> = hit.iter().map(|hit| hit.0).chain(freed).collect();
            if !changed.is_empty() {
                self.store.revise(changed).await?;
                self.tell_holders(hit).await?;
            }
        }
        self.published.notify_one();
        metrics::gauge!("choir_index_files_blocked").set(self.blocks.len() as f64);
        Ok(blocked)
    }

    /// Marks the blocked ones among files that search takes over, and tells their holders.
    pub(crate) async fn sift_blocked(&self, files: &mut [IndexedFile]) -> Result<(), StoreError> {
        let (hit, _) = self.judge(files);
        self.tell_holders(hit).await
    }

    /// Tells a peer which of the files that it holds are blocked.
    pub(super) async fn tell_blocked(&self, peer: &PeerId, held: &[FileNo]) -> Result<(), StoreError> {
        let blocked = self.blocks.among(held);
        if blocked.is_empty() {
            return Ok(());
        }
        let numbers: Vec<FileNo> = blocked.iter().map(|hit| hit.0).collect();
        let rows = self.store.files_by_no(&numbers).await?;
        let reasons: HashMap<FileNo, Reason> = blocked.into_iter().collect();
        self.say_blocked(peer, rows.iter().filter_map(|file| Some((file.row.file_id, reasons.get(&file.no)?.clone()))));
        Ok(())
    }

    /// The files that are blocked from now on, and those that are free again.
    fn judge(&self, files: &mut [IndexedFile]) -> (Vec<(FileNo, FileId, Reason)>, Vec<FileNo>) {
        let (mut hit, mut freed) = (Vec::new(), Vec::new());
        for file in files {
            match self.blocks.judge(file) {
                Verdict::NowBlocked => hit.extend(self.blocks.reason(file.no).map(|reason| (file.no, file.id, reason))),
                Verdict::NowFree => freed.push(file.no),
                Verdict::AsBefore => {}
            }
        }
        (hit, freed)
    }

    async fn tell_holders(&self, hit: Vec<(FileNo, FileId, Reason)>) -> Result<(), StoreError> {
        let mut by_member: BTreeMap<MemberNo, Vec<(FileId, Reason)>> = BTreeMap::new();
        for (no, id, reason) in hit {
            for member in self.online.holders(no, usize::MAX, 0) {
                by_member.entry(member).or_default().push((id, reason.clone()));
            }
        }
        let numbers: Vec<MemberNo> = by_member.keys().copied().collect();
        for member in self.store.members_by_no(&numbers).await? {
            self.say_blocked(&member.peer, by_member.remove(&member.no).unwrap_or_default().into_iter());
        }
        Ok(())
    }

    fn say_blocked(&self, peer: &PeerId, files: impl Iterator<Item = (FileId, Reason)>) {
        let mut by_reason: BTreeMap<Reason, Vec<FileId>> = BTreeMap::new();
        files.for_each(|(file, reason)| by_reason.entry(reason).or_default().push(file));
        for (reason, mut files) in by_reason.into_iter().take(MAX_REASONS) {
            let count = files.len() as u64;
            files.truncate(MAX_TOLD_BLOCKED);
            self.say(peer, FromIndex::Blocked { files, count, reason: reason.to_string() });
        }
    }
}
