//! From a page of changes to a change set that an index takes.

use std::collections::HashSet;

use choir_shared::Digest;
use choir_shared::identity::SecretKey;
use choir_shared::index_api::library::{MAX_BYTES, MAX_ENTRIES};
use choir_shared::index_api::{ChangeSet, Limits, Phase};
use choir_shared::library::Head;

use super::super::error::IndexError;
use super::library::ChangesPage;

/// What one set may hold: what the protocol allows, or less if the index says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SetLimits {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

/// An index whose limits leave room for less than one claim is not taken at its word.
const LEAST: SetLimits = SetLimits { entries: 10, bytes: 32 * 1024 };

/// The head is signed after the set was measured: a name of 64 bytes, two hashes and two numbers.
const ROOM_FOR_HEAD: usize = 1024;

impl SetLimits {
    pub(super) const MOST: Self = Self { entries: MAX_ENTRIES, bytes: MAX_BYTES };

    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            entries: (limits.entries_per_change_set as usize).clamp(LEAST.entries, MAX_ENTRIES),
            bytes: (limits.change_set_bytes as usize).clamp(LEAST.bytes, MAX_BYTES),
        }
    }

    pub(super) fn hold(&self, page: &ChangesPage, set: &ChangeSet) -> bool {
        page.entries() <= self.entries
            && serde_json::to_vec(set).is_ok_and(|json| json.len() + ROOM_FOR_HEAD <= self.bytes)
    }
}

/// The set that tells `page`, claims included.
pub(super) fn from_page(collection: &str, base_generation: u64, phase: Phase, page: &ChangesPage) -> ChangeSet {
    ChangeSet {
        collection: collection.to_owned(),
        base_generation,
        generation: page.through,
        phase,
        folders: page.folders.clone(),
        add: page.add.clone(),
        remove: page.remove.clone(),
        head: None,
    }
}

/// Signs the state that a set leads to, if the set is one that others will see and nothing newer is known.
pub(super) fn signed(set: ChangeSet, page: &ChangesPage, owner: &SecretKey, now_unix_s: u64) -> ChangeSet {
    let head = match (set.phase, page.complete) {
        (Phase::Change | Phase::Commit, Some((digest, count))) => {
            Some(Head::sign(owner, &set.collection, set.generation, digest, count, now_unix_s))
        }
        _ => None,
    };
    ChangeSet { head, ..set }
}

/// The set with the hashes of its claims alone: what an index knows already need not be sent.
pub(super) fn without_claims(set: &ChangeSet) -> ChangeSet {
    let mut bare = set.clone();
    bare.add.iter_mut().for_each(|addition| addition.claim = None);
    bare
}

/// The set with the claims that the index has just said it does not know. An index that asks for claims that are not
/// in the set, or that it was given, would keep us busy for ever.
pub(super) fn with_claims(full: &ChangeSet, sent: &ChangeSet, unknown: &[Digest]) -> Result<ChangeSet, IndexError> {
    let withheld: HashSet<_> = sent.add.iter().filter(|one| one.claim.is_none()).map(|one| one.claim_hash).collect();
    let unknown: HashSet<_> = unknown.iter().copied().collect();
    if !unknown.is_subset(&withheld) {
        return Err(IndexError::nonsense("it asks for claims that it was given"));
    }
    let mut set = full.clone();
    for (addition, before) in set.add.iter_mut().zip(&sent.add) {
        if before.claim.is_none() && !unknown.contains(&addition.claim_hash) {
            addition.claim = None;
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use choir_shared::index_api::Addition;
    use choir_shared::leaf::FileLength;
    use choir_shared::library::LibraryDigest;
    use choir_shared::{Claim, FileId};

    use super::*;

    fn page(files: u64) -> ChangesPage {
        let add = (1..=files).map(|number| {
            let claim = Claim { title: Some(format!("Song {number}")), ..Claim::default() };
            Addition {
                file: FileId::new(Digest::of(&number.to_be_bytes()), FileLength::new(number).unwrap()),
                folder: 1,
                claim_hash: claim.hash(),
                claim: Some(claim),
            }
        });
        ChangesPage {
            add: add.collect(),
            remove: vec![],
            folders: vec![],
            through: files,
            complete: Some((LibraryDigest::EMPTY, files)),
        }
    }

    #[test]
    fn only_what_the_index_does_not_know_is_sent_along() {
        let full = from_page("everyone", 0, Phase::Begin, &page(3));
        let bare = without_claims(&full);
        let unknown = [full.add[1].claim_hash];
        let again = with_claims(&full, &bare, &unknown).unwrap();
        let sent: Vec<_> = again.add.iter().map(|addition| addition.claim.is_some()).collect();
        assert_eq!(sent, [false, true, false]);
    }

    #[test]
    fn an_index_that_asks_for_what_it_has_is_not_served_for_ever() {
        let full = from_page("everyone", 0, Phase::Begin, &page(3));
        assert!(with_claims(&full, &full, &[full.add[0].claim_hash]).is_err());
        assert!(with_claims(&full, &without_claims(&full), &[Digest::ZERO]).is_err());
    }

    #[test]
    fn what_is_too_long_or_too_large_does_not_fit() {
        let limits = |entries, bytes| SetLimits { entries, bytes };
        let page = page(20);
        let set = from_page("everyone", 0, Phase::Change, &page);
        let bytes = serde_json::to_vec(&set).unwrap().len() + ROOM_FOR_HEAD;
        assert!(limits(20, bytes).hold(&page, &set));
        assert!(!limits(19, bytes).hold(&page, &set));
        assert!(!limits(20, bytes - 1).hold(&page, &set));
    }

    #[test]
    fn only_a_state_that_others_will_see_is_signed() {
        let owner = SecretKey::from_seed(&[1; 32]);
        let is_signed = |phase, complete| {
            let page = ChangesPage { complete, ..page(1) };
            signed(from_page("everyone", 0, phase, &page), &page, &owner, 0)
                .head
                .is_some_and(|head| head.verify(&owner.peer_id()))
        };
        let complete = Some((LibraryDigest::EMPTY, 1));
        assert!(is_signed(Phase::Change, complete) && is_signed(Phase::Commit, complete));
        assert!(
            !is_signed(Phase::Begin, complete)
                && !is_signed(Phase::Staging, complete)
                && !is_signed(Phase::Change, None)
        );
    }
}
