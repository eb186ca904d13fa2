//! Who is online, and what can be had from them.
//!
//! - **Presence never touches a disk**: it comes and goes with control connections, and after a restart everybody
//!   comes back anyway.
//! - **"Is this file to be had?" is one bit**, read without a lock: a search asks it of every match ([`counters`]).
//!   It changes only when the first holder comes or the last one goes.
//! - **"Who has it?"** is asked when somebody downloads, and may wait for a lock.
//! - **A file that somebody is still fetching** is listed as a partial source, and counts as none: what one gets from
//!   it depends on luck.
//!
//! Lists of files may be in any order and repeat themselves. All changes happen whole, one after another.

mod counters;
mod sample;

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::store::{FileNo, MemberNo};
use counters::Counters;
use sample::sample;

/// Whoever holds most of several files is among about so many of their holders, and at least so many of each: an
/// album of 500 copies costs half a million looks.
const LOOKED_AT: usize = 512;
const LEAST_OF_EACH: usize = 2;

/// Everybody online and what they hold. Shared by `Arc`.
#[derive(Default)]
pub struct Online {
    counters: Counters,
    ledger: RwLock<Ledger>,
}

/// Both directions; they always agree.
#[derive(Default)]
struct Ledger {
    members: HashMap<MemberNo, Held>,
    whole: HashMap<FileNo, Vec<MemberNo>>,
    partial: HashMap<FileNo, Vec<MemberNo>>,
}

/// What one member holds; sorted, each file once.
#[derive(Default)]
struct Held {
    whole: Vec<FileNo>,
    fetching: Vec<FileNo>,
}

impl Online {
    pub fn new() -> Self {
        Self::default()
    }

    /// `member` is online now and holds these files, and what was known of it before counts no more.
    pub fn arrive(&self, member: MemberNo, files: &[FileNo]) {
        let mut ledger = self.write();
        self.forget(&mut ledger, member);
        ledger.members.insert(member, Held::default());
        self.put(&mut ledger, member, files);
    }

    /// `member` is online now. What was known of it still counts.
    pub fn appear(&self, member: MemberNo) {
        self.write().members.entry(member).or_default();
    }

    /// `member` holds these files too. Nothing happens if it is not online.
    pub fn add(&self, member: MemberNo, files: &[FileNo]) {
        self.put(&mut self.write(), member, files);
    }

    /// `member` no longer holds these files.
    pub fn remove(&self, member: MemberNo, files: &[FileNo]) {
        let mut ledger = self.write();
        let Some(held) = ledger.members.get_mut(&member) else { return };
        let gone = set(files);
        let gone: Vec<FileNo> = held.whole.extract_if(.., |file| gone.contains(file)).collect();
        self.uncount(&mut ledger, member, &gone);
    }

    /// `member` is fetching these files now, and no others.
    pub fn set_fetching(&self, member: MemberNo, files: &[FileNo]) {
        let mut ledger = self.write();
        let Some(held) = ledger.members.get_mut(&member) else { return };
        let fetching: Vec<FileNo> = set(files).into_iter().collect();
        let before = std::mem::replace(&mut held.fetching, fetching.clone());
        before.iter().for_each(|file| strike(&mut ledger.partial, *file, member));
        fetching.into_iter().for_each(|file| ledger.partial.entry(file).or_default().push(member));
    }

    /// `member` is gone.
    pub fn leave(&self, member: MemberNo) {
        self.forget(&mut self.write(), member);
    }

    /// How many members online hold the whole file.
    pub fn sources(&self, file: FileNo) -> u32 {
        self.counters.count(file)
    }

    /// Whether anybody online holds the whole file.
    pub fn is_online(&self, file: FileNo) -> bool {
        self.counters.is_any(file)
    }

    /// At most `max` of those who hold the whole file, chosen by lot; `seed` decides the lot.
    pub fn holders(&self, file: FileNo, max: usize, seed: u64) -> Vec<MemberNo> {
        let ledger = self.read();
        ledger.whole.get(&file).map(|members| sample(members, max, seed)).unwrap_or_default()
    }

    /// At most `max` of those who are fetching the file and do not hold it yet, chosen by lot.
    pub fn partial_holders(&self, file: FileNo, max: usize, seed: u64) -> Vec<MemberNo> {
        let ledger = self.read();
        let holds = |member: &MemberNo| ledger.members.get(member).is_some_and(|held| held.holds(file));
        let fetching = ledger.partial.get(&file).into_iter().flatten().copied();
        sample(&fetching.filter(|member| !holds(member)).collect::<Vec<_>>(), max, seed)
    }

    /// Those who hold copies of most of `songs`, and of how many: at most `max`, the greatest number first. Of a song
    /// that very many hold some are looked at, chosen by lot.
    pub fn holders_of_most(&self, songs: &[Vec<FileNo>], max: usize, seed: u64) -> Vec<(MemberNo, u32)> {
        let ledger = self.read();
        let files = songs.iter().flatten();
        let of_each = (LOOKED_AT / files.clone().count().max(1)).max(LEAST_OF_EACH);
        let holders =
            files.filter_map(|file| ledger.whole.get(file)).flat_map(|members| sample(members, of_each, seed));
        let holders: BTreeSet<MemberNo> = holders.collect();
        let songs_of = |held: &Held| songs.iter().filter(|copies| copies.iter().any(|file| held.holds(*file))).count();
        let counted = holders.into_iter().filter_map(|member| {
            let held = ledger.members.get(&member)?;
            Some((member, u32::try_from(songs_of(held)).unwrap_or(u32::MAX)))
        });
        let mut counted: Vec<(MemberNo, u32)> = counted.collect();
        counted.sort_by_key(|(member, songs)| (Reverse(*songs), *member));
        counted.truncate(max);
        counted
    }

    pub fn is_member_online(&self, member: MemberNo) -> bool {
        self.read().members.contains_key(&member)
    }

    pub fn member_count(&self) -> usize {
        self.read().members.len()
    }

    /// The number of different files that can be had.
    pub fn file_count(&self) -> u64 {
        self.counters.files()
    }

    /// Whether `member` is online and holds the whole file.
    pub fn holds(&self, member: MemberNo, file: FileNo) -> bool {
        self.read().members.get(&member).is_some_and(|held| held.holds(file))
    }

    /// What `member` holds, if it is online.
    pub fn held_by(&self, member: MemberNo) -> Option<Vec<FileNo>> {
        self.read().members.get(&member).map(|held| held.whole.clone())
    }

    fn put(&self, ledger: &mut Ledger, member: MemberNo, files: &[FileNo]) {
        let Some(held) = ledger.members.get_mut(&member) else { return };
        let new: Vec<FileNo> = set(files).into_iter().filter(|file| !held.holds(*file)).collect();
        held.whole.extend(&new);
        // Two sorted runs: the sort merges them.
        held.whole.sort();
        for file in new {
            ledger.whole.entry(file).or_default().push(member);
            self.counters.increment(file);
        }
    }

    fn forget(&self, ledger: &mut Ledger, member: MemberNo) {
        let Some(held) = ledger.members.remove(&member) else { return };
        held.fetching.iter().for_each(|file| strike(&mut ledger.partial, *file, member));
        self.uncount(ledger, member, &held.whole);
    }

    fn uncount(&self, ledger: &mut Ledger, member: MemberNo, files: &[FileNo]) {
        for file in files {
            strike(&mut ledger.whole, *file, member);
            self.counters.decrement(*file);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Ledger> {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Ledger> {
        self.ledger.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn holds(&self, file: FileNo) -> bool {
        self.whole.binary_search(&file).is_ok()
    }
}

fn set(files: &[FileNo]) -> BTreeSet<FileNo> {
    files.iter().copied().collect()
}

/// Takes `member` off the list of a file, and the list away when it is empty.
fn strike(lists: &mut HashMap<FileNo, Vec<MemberNo>>, file: FileNo, member: MemberNo) {
    let Some(members) = lists.get_mut(&file) else { return };
    if let Some(position) = members.iter().position(|listed| *listed == member) {
        members.swap_remove(position);
    }
    if members.is_empty() {
        lists.remove(&file);
    }
}

#[cfg(test)]
mod tests;
