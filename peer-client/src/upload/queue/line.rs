//! The order of those who wait.
//!
//! Rounds are counted. In each round every network that waits has one turn, which goes to its peer with the longest
//! wait; so the peer with `n` others of its network before it comes up `n` rounds after the first of them. A key that
//! joins is due in the round after the one being served. Therefore only a finite number can ever come before
//! anybody, however many networks keep joining, and everyone is served in the end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use choir_shared::PeerId;
use choir_shared::address::NetworkPrefix;

use super::{AGE_KEPT, KeptAge, PlaceId};

/// When somebody is served: the order of the fields is the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    round: u64,
    /// When it began to wait.
    since: Instant,
    /// Who came first at the same moment.
    first_place: PlaceId,
}

/// What a key has gained by waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Age {
    /// No round before this is its own.
    due: u64,
    since: Instant,
    first_place: PlaceId,
}

impl Age {
    pub(super) const fn since(&self) -> Instant {
        self.since
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) place: PlaceId,
    pub(super) peer: PeerId,
    pub(super) network: NetworkPrefix,
    /// Announced, and believed only for estimates.
    pub(super) bytes: u64,
    pub(super) age: Age,
    /// The place and estimate it was last told.
    pub(super) told: Option<(u32, Option<Duration>)>,
    /// Follows from the ages of all; see [`Line::sort`].
    round: u64,
}

impl Waiting {
    /// Whether it waited before, at an earlier place.
    #[cfg(test)]
    pub(super) fn has_returned(&self) -> bool {
        self.place != self.age.first_place
    }

    const fn turn(&self) -> Turn {
        Turn { round: self.round, since: self.age.since, first_place: self.age.first_place }
    }
}

/// Everyone who waits, next first.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: Vec<Waiting>,
    /// For each network the round after its latest turn: no returning key gives it that turn again.
    turns_from: HashMap<NetworkPrefix, u64>,
    kept: HashMap<PeerId, Kept>,
    /// The round of the latest grant.
    round: u64,
}

/// The age of a key whose place ended.
#[derive(Debug)]
struct Kept {
    age: Age,
    /// `None` if it had its place before this program was started.
    network: Option<NetworkPrefix>,
    until: Instant,
}

impl Line {
    /// Puts a key where its age belongs: at the end, unless it waited before.
    pub(super) fn join(&mut self, place: PlaceId, peer: PeerId, network: NetworkPrefix, bytes: u64, now: Instant) {
        let kept = self.kept.remove(&peer).filter(|kept| kept.until > now);
        let age = kept.map_or(Age { due: self.round + 1, since: now, first_place: place }, |kept| kept.age);
        self.waiting.push(Waiting { place, peer, network, bytes, age, told: None, round: age.due });
        self.sort();
    }

    pub(super) fn leave(&mut self, place: PlaceId, now: Instant) {
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.place == place) {
            let left = self.waiting.remove(at);
            self.keep(left.peer, left.network, left.age, now);
            self.sort();
        }
    }

    /// Keeps the age of a key for its return.
    pub(super) fn keep(&mut self, peer: PeerId, network: NetworkPrefix, age: Age, now: Instant) {
        self.kept.insert(peer, Kept { age, network: Some(network), until: now + AGE_KEPT });
    }

    /// All ages that are worth remembering, next first, but for those of slots.
    pub(super) fn ages(&self, now: Instant) -> impl Iterator<Item = KeptAge> {
        let waiting = self.waiting.iter().map(|waiting| (waiting.peer, waiting.age));
        let mut absent: Vec<_> = self.kept.iter().filter(|(_, kept)| kept.until > now).collect();
        absent.sort_by_key(|(_, kept)| kept.age);
        let absent = absent.into_iter().map(|(peer, kept)| (*peer, kept.age));
        waiting.chain(absent).map(move |(peer, age)| self.age_of(peer, age, now))
    }

    pub(super) fn age_of(&self, peer: PeerId, age: Age, now: Instant) -> KeptAge {
        let waited = now.saturating_duration_since(age.since);
        KeptAge { peer, waited, rounds: age.due.saturating_sub(self.round) }
    }

    /// Keeps an age that another run of this program knew.
    pub(super) fn restore(&mut self, kept: &KeptAge, first_place: PlaceId, now: Instant) {
        let since = now.checked_sub(kept.waited).unwrap_or(now);
        let age = Age { due: self.round.saturating_add(kept.rounds), since, first_place };
        self.kept.insert(kept.peer, Kept { age, network: None, until: now + AGE_KEPT });
    }

    /// How many of another run have not come back who would go before the first of those who have.
    pub(super) fn absent_before_first(&self) -> usize {
        let Some(first) = self.waiting.first() else { return 0 };
        self.kept.values().filter(|kept| kept.network.is_none() && kept.age < first.age).count()
    }

    /// Takes the first out of the line: its network had its turn.
    pub(super) fn next(&mut self) -> Option<Waiting> {
        self.take(self.waiting.first()?.place)
    }

    /// Takes one out of the line, whose network has its turn with it.
    pub(super) fn take(&mut self, place: PlaceId) -> Option<Waiting> {
        let at = self.waiting.iter().position(|waiting| waiting.place == place)?;
        let taken = self.waiting.remove(at);
        self.round = self.round.max(taken.round);
        self.turns_from.insert(taken.network, taken.round + 1);
        self.sort();
        Some(taken)
    }

    /// Drops what no longer matters. Without an age to return with, nobody of a network is due earlier anyway.
    pub(super) fn forget(&mut self, now: Instant) {
        self.kept.retain(|_, kept| kept.until > now);
        let Self { waiting, turns_from, kept, .. } = self;
        turns_from.retain(|network, _| {
            waiting.iter().any(|waiting| waiting.network == *network)
                || kept.values().any(|kept| kept.network == Some(*network))
        });
    }

    pub(super) fn place_of(&self, peer: PeerId) -> Option<PlaceId> {
        self.waiting.iter().find(|waiting| waiting.peer == peer).map(|waiting| waiting.place)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Waiting> {
        self.waiting.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = &mut Waiting> {
        self.waiting.iter_mut()
    }

    /// How many keys and networks are remembered.
    #[cfg(test)]
    pub(super) fn memories(&self) -> usize {
        self.kept.len() + self.turns_from.len()
    }

    fn sort(&mut self) {
        self.waiting.sort_unstable_by_key(|waiting| (waiting.network, waiting.age.since, waiting.age.first_place));
        let mut network = None;
        let mut free_round = 0;
        for waiting in &mut self.waiting {
            if network != Some(waiting.network) {
                network = Some(waiting.network);
                free_round = self.turns_from.get(&waiting.network).copied().unwrap_or(0);
            }
            waiting.round = waiting.age.due.max(free_round);
            free_round = waiting.round + 1;
        }
        self.waiting.sort_unstable_by_key(Waiting::turn);
    }
}
