//! What an honest index never answers. Whoever breaks one of these rules is not asked to explain: the answer is
//! dropped whole, because the rest of it deserves no more belief.
//!
//! 1. An answer is about what was asked: this file, this peer, this name but for case and accents.
//! 2. No list is longer than it may be.
//! 3. A row's size is the length in its file id.
//! 4. A candidate is an address where a peer can be. Whether it may be dialled from here depends on more and is
//!    decided by [`choir_shared::dial`].

use std::collections::BTreeSet;

use choir_shared::address::Scope;
use choir_shared::index_api::people::MAX_SOURCES;
use choir_shared::index_api::{Candidate, Introduction, LibraryPage, Me, Profile, SearchPage, SearchRow, Sources};
use choir_shared::query::{MAX_CURSOR_BYTES, Query};
use choir_shared::text::fold;
use choir_shared::{FileId, PeerId};

use super::super::error::IndexError;

/// More than any peer has: a few networks, each with two protocols.
const MAX_CANDIDATES: usize = 16;

pub(super) fn search_page(page: SearchPage, query: &Query) -> Result<SearchPage, IndexError> {
    if page.results.len() > usize::from(query.limit) {
        return Err(IndexError::nonsense(format!(
            "{} results where {} were asked for",
            page.results.len(),
            query.limit
        )));
    }
    page.results.iter().try_for_each(row)?;
    if page.next.as_ref().is_some_and(|next| next.len() > MAX_CURSOR_BYTES) {
        return Err(IndexError::nonsense("a cursor that is too long to send back"));
    }
    Ok(page)
}

fn row(row: &SearchRow) -> Result<(), IndexError> {
    if row.size == row.file_id.length().bytes() {
        Ok(())
    } else {
        Err(IndexError::nonsense("a file whose size is not the length in its id"))
    }
}

pub(super) fn row_of(answer: SearchRow, file: &FileId) -> Result<SearchRow, IndexError> {
    row(&answer)?;
    if answer.file_id == *file { Ok(answer) } else { Err(IndexError::nonsense("another file than was asked for")) }
}

pub(super) fn sources(mut answer: Sources, me: &PeerId) -> Result<Sources, IndexError> {
    if answer.sources.len() > MAX_SOURCES {
        return Err(IndexError::nonsense(format!("{} sources in one answer", answer.sources.len())));
    }
    let mut seen = BTreeSet::from([*me]);
    answer.sources.retain(|source| seen.insert(source.peer));
    Ok(answer)
}

pub(super) fn introduction(answer: Introduction, peer: &PeerId) -> Result<Introduction, IndexError> {
    if answer.peer != *peer {
        return Err(IndexError::nonsense("an introduction to another peer than was asked for"));
    }
    candidates(&answer.candidates)?;
    Ok(answer)
}

pub(crate) fn candidates(candidates: &[Candidate]) -> Result<(), IndexError> {
    if candidates.len() > MAX_CANDIDATES {
        return Err(IndexError::nonsense(format!("{} addresses of one peer", candidates.len())));
    }
    let impossible =
        |candidate: &&Candidate| candidate.address.port() == 0 || Scope::of(candidate.address.ip()) == Scope::Nowhere;
    match candidates.iter().find(impossible) {
        Some(candidate) => Err(IndexError::nonsense(format!("{}, where no peer can be", candidate.address))),
        None => Ok(()),
    }
}

pub(super) fn me(answer: Me, me: &PeerId) -> Result<Me, IndexError> {
    if answer.peer == *me { Ok(answer) } else { Err(IndexError::nonsense("another peer's account")) }
}

pub(super) fn profile(answer: Profile, peer: &PeerId) -> Result<Profile, IndexError> {
    if answer.peer == *peer { Ok(answer) } else { Err(IndexError::nonsense("another peer than was asked for")) }
}

pub(super) fn profile_named(answer: Profile, name: &str) -> Result<Profile, IndexError> {
    match &answer.name {
        Some(answered) if fold(answered) == fold(name) => Ok(answer),
        _ => Err(IndexError::nonsense("a peer with another name than was asked for")),
    }
}

pub(super) fn library_page(page: LibraryPage, peer: &PeerId) -> Result<LibraryPage, IndexError> {
    if page.peer.is_some_and(|owner| owner != *peer) {
        return Err(IndexError::nonsense("another peer's library"));
    }
    page.files.iter().try_for_each(row)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;
    use choir_shared::index_api::{CandidateKind, Reach, Source};

    use super::*;

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_seed(&[seed; 32]).peer_id()
    }

    #[test]
    fn candidates_are_where_peers_can_be() {
        let table = [
            ("5.6.7.8:6699", true),
            ("192.168.1.2:6699", true),
            ("127.0.0.1:6699", true),
            ("5.6.7.8:0", false),
            ("224.0.0.1:6699", false),
            ("169.254.1.1:6699", false),
            ("[fe80::1]:6699", false),
            ("0.0.0.0:6699", false),
        ];
        for (address, fine) in table {
            let candidate = Candidate { address: address.parse().unwrap(), kind: CandidateKind::Observed };
            assert_eq!(candidates(&[candidate]).is_ok(), fine, "{address}");
        }
        let one = Candidate { address: "5.6.7.8:6699".parse().unwrap(), kind: CandidateKind::Observed };
        assert!(candidates(&vec![one; MAX_CANDIDATES + 1]).is_err());
    }

    #[test]
    fn sources_are_others_and_each_once() {
        let source = |seed| Source { peer: peer(seed), name: None, reach: Reach::Direct, complete: true };
        let answer = Sources { sources: vec![source(1), source(2), source(1), source(3)], online: 4 };
        let kept = sources(answer, &peer(3)).unwrap();
        assert_eq!(kept.sources, [source(1), source(2)]);
        let crowd = Sources { sources: vec![source(1); MAX_SOURCES + 1], online: 4 };
        assert!(sources(crowd, &peer(3)).is_err());
    }

    #[test]
    fn who_is_found_by_name_has_that_name() {
        let profile = |name: Option<&str>| Profile {
            peer: peer(1),
            name: name.map(str::to_owned),
            online: false,
            member_since_unix_s: 0,
            files: 0,
            bytes: 0,
            browsable: true,
        };
        for (answered, fine) in [(Some("Björk"), true), (Some("BJORK"), true), (Some("Вjörk"), false), (None, false)]
        {
            assert_eq!(profile_named(profile(answered), "bjork").is_ok(), fine, "{answered:?}");
        }
        let library = |owner| LibraryPage {
            peer: owner,
            name: None,
            folder: String::new(),
            folders: vec![],
            files: vec![],
            next: None,
        };
        for (owner, fine) in [(Some(peer(1)), true), (None, true), (Some(peer(2)), false)] {
            assert_eq!(library_page(library(owner), &peer(1)).is_ok(), fine, "{owner:?}");
        }
    }

    #[test]
    fn an_introduction_is_to_the_peer_that_was_asked_for() {
        let answer = Introduction { peer: peer(1), candidates: vec![] };
        assert!(introduction(answer.clone(), &peer(1)).is_ok());
        assert!(introduction(answer, &peer(2)).is_err());
    }
}
