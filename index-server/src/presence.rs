//! Who is online.
//!
//! 1. A peer is online as long as it has a control connection.
//! 2. The newest connection of a key wins. The older is handed back, to be told and closed.
//! 3. When a connection ends, the peer keeps its place for a short lease: a Wi-Fi that hiccups or a router that
//!    restarts should not empty everybody's search results, nor make the index load a library again.
//! 4. Whoever has a place, online or leased, has its holdings counted as sources. Only those online can be told of
//!    an introduction.
//! 5. Nothing of this is written down: after a restart of the index everybody comes back and says so.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use choir_shared::PeerId;

use crate::store::MemberNo;

/// How long a dropped peer keeps its place. Long enough for a Wi-Fi to come back and for a program to restart.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// The peer said that it goes: its holdings are nobody's sources from now on.
    Left,
    /// It broke. The peer may be back in a moment.
    Lost,
}

/// Tells the connections of one key apart. Never reused while the index runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionNumber(u64);

/// The places of all peers. `C` is what reaches a connection.
pub(crate) struct Presence<C> {
    places: HashMap<PeerId, Place<C>>,
    /// When leases end. All leases are equally long, so the order of dropping is the order of ending.
    leases: VecDeque<(Instant, PeerId, ConnectionNumber)>,
    next_number: u64,
    online: usize,
}

struct Place<C> {
    member: MemberNo,
    /// The latest connection, whether it still lives or not.
    number: ConnectionNumber,
    /// `None` while the place is leased.
    connection: Option<C>,
}

/// What happened when a connection came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arrival<C> {
    pub(crate) number: ConnectionNumber,
    /// The older connection of the same key.
    pub(crate) superseded: Option<C>,
    /// Whether the member had a place before, online or leased.
    pub(crate) had_a_place: bool,
}

impl<C> Presence<C> {
    pub(crate) fn new() -> Self {
        Self { places: HashMap::new(), leases: VecDeque::new(), next_number: 0, online: 0 }
    }

    /// A new connection of `peer`.
    pub(crate) fn arrive(&mut self, peer: PeerId, member: MemberNo, connection: C) -> Arrival<C> {
        let number = ConnectionNumber(self.next_number);
        self.next_number += 1;
        let before = self.places.insert(peer, Place { member, number, connection: Some(connection) });
        let had_a_place = before.as_ref().is_some_and(|place| place.member == member);
        let superseded = before.and_then(|place| place.connection);
        self.online += usize::from(superseded.is_none());
        Arrival { number, superseded, had_a_place }
    }

    /// A connection ended. Of no meaning, and `false`, if a newer one has taken its place.
    pub(crate) fn depart(
        &mut self,
        peer: PeerId,
        number: ConnectionNumber,
        departure: Departure,
        now: Instant,
    ) -> bool {
        let Some(place) = self.places.get_mut(&peer).filter(|place| place.number == number) else { return false };
        place.connection = None;
        self.online -= 1;
        match departure {
            Departure::Lost => self.leases.push_back((now + LEASE, peer, number)),
            // Over already, so it stands before all others.
            Departure::Left => self.leases.push_front((now, peer, number)),
        }
        true
    }

    /// Takes the places whose lease has ended.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(PeerId, MemberNo)> {
        let mut expired = Vec::new();
        while let Some((_, peer, number)) = self.leases.pop_front_if(|(end, ..)| *end <= now) {
            // Whoever came back has another number.
            if self.places.get(&peer).is_some_and(|place| place.number == number) {
                expired.extend(self.places.remove(&peer).map(|place| (peer, place.member)));
            }
        }
        expired
    }

    /// Takes a place at once: its owner is banned, or has erased itself.
    pub(crate) fn remove(&mut self, peer: &PeerId) -> Option<C> {
        let connection = self.places.remove(peer).and_then(|place| place.connection);
        self.online -= usize::from(connection.is_some());
        connection
    }

    /// The connection of a peer that is online.
    pub(crate) fn connection(&self, peer: &PeerId) -> Option<&C> {
        self.places.get(peer)?.connection.as_ref()
    }

    /// Everybody online.
    pub(crate) fn connections(&self) -> impl Iterator<Item = (&PeerId, MemberNo, &C)> {
        self.places.iter().filter_map(|(peer, place)| Some((peer, place.member, place.connection.as_ref()?)))
    }

    /// Everybody who is online or leased.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&PeerId, MemberNo)> {
        self.places.iter().map(|(peer, place)| (peer, place.member))
    }

    /// Whether the peer is online or leased as this member; an erased one may come back as another.
    pub(crate) fn has_place(&self, peer: &PeerId, member: MemberNo) -> bool {
        self.places.get(peer).is_some_and(|place| place.member == member)
    }

    /// How many are online.
    pub(crate) const fn online(&self) -> usize {
        self.online
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn peer() -> PeerId {
        SecretKey::from_seed(&[1; 32]).peer_id()
    }

    fn member() -> MemberNo {
        MemberNo(7)
    }

    #[test]
    fn the_newest_connection_wins_and_the_older_is_handed_back() {
        let mut presence = Presence::new();
        let first = presence.arrive(peer(), member(), "first");
        assert_eq!((first.superseded, first.had_a_place), (None, false));
        let second = presence.arrive(peer(), member(), "second");
        assert_eq!((second.superseded, second.had_a_place), (Some("first"), true));
        assert_eq!(presence.connection(&peer()), Some(&"second"));

        presence.depart(peer(), first.number, Departure::Lost, Instant::now());
        assert_eq!(presence.online(), 1);
        assert_eq!(presence.connection(&peer()), Some(&"second"), "the end of the older one means nothing");
    }

    #[test]
    fn a_dropped_peer_keeps_its_place_for_the_lease_and_no_longer() {
        let (mut presence, start) = (Presence::new(), Instant::now());
        let arrival = presence.arrive(peer(), member(), ());
        presence.depart(peer(), arrival.number, Departure::Lost, start);
        assert_eq!((presence.has_place(&peer(), member()), presence.connection(&peer())), (true, None));
        assert!(!presence.has_place(&peer(), MemberNo(8)));

        assert_eq!(presence.expire(start + LEASE - SECOND), []);
        assert_eq!(presence.expire(start + LEASE), [(peer(), member())]);
        assert!(!presence.has_place(&peer(), member()));
        assert!(!presence.arrive(peer(), member(), ()).had_a_place);
        assert!(!presence.arrive(peer(), MemberNo(8), ()).had_a_place, "it was erased and has joined again");
    }

    #[test]
    fn who_says_goodbye_gives_its_place_up_at_once() {
        let (mut presence, start) = (Presence::new(), Instant::now());
        let other = SecretKey::from_seed(&[2; 32]).peer_id();
        let dropped = presence.arrive(other, MemberNo(8), ());
        presence.depart(other, dropped.number, Departure::Lost, start);
        let arrival = presence.arrive(peer(), member(), ());
        presence.depart(peer(), arrival.number, Departure::Left, start);
        assert_eq!(presence.expire(start), [(peer(), member())], "and the one that was lost keeps its lease");
    }

    #[test]
    fn who_comes_back_in_time_loses_nothing_even_after_a_second_drop() {
        let (mut presence, start) = (Presence::new(), Instant::now());
        let first = presence.arrive(peer(), member(), ());
        presence.depart(peer(), first.number, Departure::Lost, start);
        let second = presence.arrive(peer(), member(), ());
        assert_eq!(presence.expire(start + LEASE), [], "the old lease is void");

        presence.depart(peer(), second.number, Departure::Lost, start + 20 * SECOND);
        assert_eq!(presence.expire(start + LEASE + SECOND), []);
        assert_eq!(presence.expire(start + LEASE + 20 * SECOND).len(), 1);
    }

    #[test]
    fn who_is_banned_is_gone_at_once() {
        let mut presence = Presence::new();
        let arrival = presence.arrive(peer(), member(), "connection");
        assert_eq!(presence.remove(&peer()), Some("connection"));
        presence.depart(peer(), arrival.number, Departure::Lost, Instant::now());
        assert!(!presence.has_place(&peer(), member()));
        assert_eq!(presence.online(), 0);
    }
}
