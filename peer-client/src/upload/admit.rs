//! Who may have what: the one place that decides it.
//!
//! 1. **A banned key gets nothing**, whatever it shows.
//! 2. **No file is served because its id is known.** A file lies in collections, and each collection was given to
//!    indexes. An open index lets in anybody, so what it was given is for anybody. A collection that was given to
//!    private indexes alone is for those who show a valid ticket of one of these; one that was given to no index is
//!    for nobody. The widest of a file's collections counts: nothing is hidden by being in two.
//!    A file that is still being fetched is in no collection; it is for those who use the indexes that listed it.
//! 3. **Who is let in waits for a slot**, but for small first answers within a budget, so that a downloader learns
//!    what a file looks like, and a player hears its beginning, before its turn comes.
//! 4. **Tickets come with the hello, which nobody waits for** – except here, and only if a ticket decides.

use std::collections::{BTreeMap, HashSet};

use choir_shared::PeerId;
use choir_shared::identity::IndexKey;
use choir_shared::ticket::Ticket;
use choir_shared::wire::{CloseCode, Reason};

use super::shelf::Visibility;

/// What the owner of the library decided; the whole set is replaced when any of it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub banned: HashSet<PeerId>,
    /// For whom each collection is. One that is missing is for nobody.
    pub audiences: BTreeMap<String, Audience>,
    /// For whom parts of unfinished downloads may be at all; `None` for nobody.
    pub parts: Option<Audience>,
}

/// For whom a collection is: what follows from the indexes it was given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// At least one of its indexes is open.
    Anyone,
    /// The members of any of these private indexes; of none, if there are none.
    MembersOf(Vec<IndexKey>),
}

/// Who asks, and what it has shown.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    pub peer: PeerId,
    /// `None` until its hello came.
    pub tickets: Option<&'a [Ticket]>,
    pub now_unix_s: u64,
}

/// What a request would be served on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Footing {
    /// The peer holds an upload slot.
    Slot,
    /// The request is small, and the peer's budget for such has some left.
    Taste,
    Neither,
}

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Serve,
    Wait(Until),
    No(Refusal),
}

/// What must come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The other side's hello, with its tickets.
    Hello,
    /// An upload slot.
    Slot,
}

/// Why somebody gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Banned,
    NotAMember,
    NotShared,
}

impl Refusal {
    pub const fn reason(self) -> Reason {
        match self {
            Self::Banned | Self::NotAMember => Reason::Refused,
            Self::NotShared => Reason::NotShared,
        }
    }

    /// The code to close the connection with, where nothing on it will ever be served.
    pub const fn close_code(self) -> Option<CloseCode> {
        match self {
            Self::Banned => Some(CloseCode::Banned),
            Self::NotAMember | Self::NotShared => None,
        }
    }
}

impl Rules {
    /// Judges a request for a file.
    pub fn admit(&self, visitor: &Visitor<'_>, visibility: &Visibility, footing: Footing) -> Admission {
        let verdict = match visibility {
            Visibility::Collections(names) => {
                self.let_in(visitor, names.iter().filter_map(|name| self.audiences.get(name)))
            }
            Visibility::Audience(audience) => {
                self.let_in(visitor, self.parts.is_some().then_some(audience).into_iter())
            }
        };
        match verdict {
            Admission::Serve if footing == Footing::Neither => Admission::Wait(Until::Slot),
            verdict => verdict,
        }
    }

    /// Judges who wants a place in the queue: there must be something here that it could ask for.
    pub fn admit_to_queue(&self, visitor: &Visitor<'_>) -> Admission {
        self.let_in(visitor, self.audiences.values().chain(&self.parts))
    }

    fn let_in<'a>(&self, visitor: &Visitor<'_>, audiences: impl Iterator<Item = &'a Audience>) -> Admission {
        if self.banned.contains(&visitor.peer) {
            return Admission::No(Refusal::Banned);
        }
        let mut private = Vec::new();
        for audience in audiences {
            match audience {
                Audience::Anyone => return Admission::Serve,
                Audience::MembersOf(indexes) => private.extend(indexes),
            }
        }
        if private.is_empty() {
            return Admission::No(Refusal::NotShared);
        }
        let Some(tickets) = visitor.tickets else { return Admission::Wait(Until::Hello) };
        // Only tickets that could decide cost a signature check.
        let member = tickets
            .iter()
            .filter(|ticket| private.contains(&&ticket.index))
            .any(|ticket| ticket.check(&visitor.peer, visitor.now_unix_s).is_ok());
        if member { Admission::Serve } else { Admission::No(Refusal::NotAMember) }
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn rules() -> Rules {
        let members = |seeds: &[u8]| Audience::MembersOf(seeds.iter().map(|seed| key(*seed).index_key()).collect());
        Rules {
            banned: HashSet::from([key(66).peer_id()]),
            audiences: BTreeMap::from([
                ("open".into(), Audience::Anyone),
                ("club".into(), members(&[10, 11])),
                ("home".into(), members(&[12])),
                ("unused".into(), members(&[])),
            ]),
            parts: None,
        }
    }

    #[test]
    fn the_rules_line_by_line() {
        let ticket = |index: u8, peer: u8| vec![Ticket::issue(&key(index), key(peer).peer_id(), NOW)];
        let expired = vec![Ticket::issue(&key(10), key(1).peer_id(), NOW - 100_000)];
        let no = Admission::No;
        let serve = Admission::Serve;
        let table: [(u8, Option<Vec<Ticket>>, &[&str], Admission); 16] = [
            (1, None, &["open"], serve),
            (1, None, &["club", "open"], serve),
            (66, None, &["open"], no(Refusal::Banned)),
            (66, Some(ticket(10, 66)), &["club"], no(Refusal::Banned)),
            (1, None, &["club"], Admission::Wait(Until::Hello)),
            (1, Some(vec![]), &["club"], no(Refusal::NotAMember)),
            (1, Some(ticket(10, 1)), &["club"], serve),
            (1, Some(ticket(11, 1)), &["club"], serve),
            (1, Some(ticket(12, 1)), &["club"], no(Refusal::NotAMember)),
            (1, Some(ticket(12, 1)), &["club", "home"], serve),
            (1, Some(ticket(10, 2)), &["club"], no(Refusal::NotAMember)),
            (1, Some(expired), &["club"], no(Refusal::NotAMember)),
            (1, Some(ticket(99, 1)), &["club"], no(Refusal::NotAMember)),
            (1, Some(ticket(10, 1)), &["unused"], no(Refusal::NotShared)),
            (1, Some(ticket(10, 1)), &["unheard of"], no(Refusal::NotShared)),
            (1, Some(ticket(10, 1)), &[], no(Refusal::NotShared)),
        ];
        for (peer, tickets, collections, verdict) in table {
            let visitor = Visitor { peer: key(peer).peer_id(), tickets: tickets.as_deref(), now_unix_s: NOW };
            let names = Visibility::Collections(collections.iter().map(ToString::to_string).collect());
            assert_eq!(rules().admit(&visitor, &names, Footing::Slot), verdict, "{peer} {tickets:?} {collections:?}");
            assert_eq!(rules().admit(&visitor, &names, Footing::Taste), verdict);
            let without = if verdict == serve { Admission::Wait(Until::Slot) } else { verdict };
            assert_eq!(rules().admit(&visitor, &names, Footing::Neither), without);
        }
    }

    #[test]
    fn parts_of_downloads_are_for_those_who_use_the_same_index_unless_they_are_for_nobody() {
        let club = || Audience::MembersOf(vec![key(10).index_key()]);
        let part = Visibility::Audience(club());
        let tickets = vec![Ticket::issue(&key(10), key(1).peer_id(), NOW)];
        let member = Visitor { peer: key(1).peer_id(), tickets: Some(&tickets), now_unix_s: NOW };
        let stranger = Visitor { tickets: Some(&[]), ..member };
        let passing_on = Rules { parts: Some(club()), ..rules() };
        assert_eq!(passing_on.admit(&member, &part, Footing::Slot), Admission::Serve);
        assert_eq!(passing_on.admit(&stranger, &part, Footing::Slot), Admission::No(Refusal::NotAMember));
        assert_eq!(rules().admit(&member, &part, Footing::Slot), Admission::No(Refusal::NotShared));

        let only_parts = Rules { parts: Some(club()), ..Rules::default() };
        assert_eq!(only_parts.admit_to_queue(&member), Admission::Serve, "who shares nothing may pass on parts");
        assert_eq!(only_parts.admit_to_queue(&stranger), Admission::No(Refusal::NotAMember));
    }

    #[test]
    fn only_who_could_ask_for_something_may_queue() {
        let stranger = Visitor { peer: key(1).peer_id(), tickets: Some(&[]), now_unix_s: NOW };
        assert_eq!(rules().admit_to_queue(&stranger), Admission::Serve);
        let mut private = rules();
        private.audiences.remove("open");
        assert_eq!(private.admit_to_queue(&stranger), Admission::No(Refusal::NotAMember));
        let unknown = Visitor { tickets: None, ..stranger };
        assert_eq!(private.admit_to_queue(&unknown), Admission::Wait(Until::Hello));
        assert_eq!(Rules::default().admit_to_queue(&unknown), Admission::No(Refusal::NotShared));
    }
}
