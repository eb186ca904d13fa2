//! Everything that uploads share, behind one lock: the queue, who waits where, who may send, and what is known of
//! each peer. The lock is never held while anything is awaited, read or hashed.

mod guest;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use choir_shared::address::NetworkPrefix;
use choir_shared::wire::StreamCode;
use choir_shared::wire::message::{MAX_MORE_SOURCES, SERVES_PARTS};
use choir_shared::{FileId, PeerId};
use tokio::sync::{Notify, watch};

use self::guest::Guest;
use super::admit::Footing;
use super::queue::{Effect, KeptAge, Leaving, Limits, PlaceId, Queue, QueueFull, SlotEnd, Standing};
use super::{Totals, UploadState, UploadStatus};
use crate::clock::now;
use crate::rate::Rate;

/// A small answer without a slot must be taken within this time, or it would be a slot.
const TASTE_TIME: Duration = Duration::from_secs(30);

/// A file is hashed again because of others at most this often.
const RECHECK_EVERY: Duration = Duration::from_secs(60);

/// Files whose last check is remembered, before those that are long past are dropped.
const RECHECKED_MAX: usize = 1024;

/// Who asked for a file within this time is likely to be fetching it still.
const FETCHES_FOR: Duration = Duration::from_secs(30);

/// Peers that are remembered, before those that are gone are dropped.
const GUESTS_MAX: usize = 1024;

pub(super) struct Desk {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    /// Wakes [`Desk::watch_over`] when the queue is no longer empty.
    entered: Notify,
}

struct State {
    queue: Queue,
    /// What each place is told; its task forwards the latest.
    places: HashMap<PlaceId, watch::Sender<Call>>,
    /// For each slot, why it ended once it has.
    slots: HashMap<PeerId, watch::Sender<Option<StreamCode>>>,
    guests: HashMap<PeerId, Guest>,
    rechecked: HashMap<FileId, Instant>,
    sent: u64,
    rate: Rate,
}

/// What a place in the queue is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Nothing yet.
    Silence,
    Wait {
        ahead: u32,
        eta: Option<Duration>,
    },
    Come,
    Over,
}

impl Desk {
    pub(super) fn new(limits: Limits) -> Self {
        let now = now();
        let state = State {
            queue: Queue::new(limits, now),
            places: HashMap::new(),
            slots: HashMap::new(),
            guests: HashMap::new(),
            rechecked: HashMap::new(),
            sent: 0,
            rate: Rate::new(now),
        };
        Self { state: Mutex::new(state), changes: watch::Sender::new(0), entered: Notify::new() }
    }

    pub(super) fn set_rate_limit(&self, rate: Option<u64>) {
        self.state().queue.set_rate_limit(rate);
    }

    pub(super) fn ages(&self) -> Vec<KeptAge> {
        self.state().queue.ages(now())
    }

    pub(super) fn restore(&self, ages: &[KeptAge]) {
        self.state().queue.restore(ages, now());
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Tells the queue the time, for as long as there is anybody in it. Never returns.
    pub(super) async fn watch_over(&self, tick: Duration) {
        loop {
            if self.state().queue.is_empty() {
                self.entered.notified().await;
            }
            tokio::time::sleep(tick).await;
            let mut state = self.state();
            let effects = state.queue.tick(now());
            state.apply(&effects);
            drop(state);
            self.changed();
        }
    }

    // Sessions.

    pub(super) fn arrived(&self, peer: PeerId, path_kind: &str) {
        let mut state = self.state();
        if state.guests.len() >= GUESTS_MAX {
            state.guests.retain(|_, guest| guest.sessions > 0);
        }
        let guest = state.guests.entry(peer).or_insert_with(|| Guest::new(now()));
        guest.sessions += 1;
        path_kind.clone_into(&mut guest.path_kind);
    }

    /// What the peer's hello says of it.
    pub(super) fn introduced(&self, peer: PeerId, features: u32) {
        if let Some(guest) = self.state().guests.get_mut(&peer) {
            guest.serves_parts = features & SERVES_PARTS != 0;
        }
    }

    pub(super) fn departed(&self, peer: PeerId) {
        if let Some(guest) = self.state().guests.get_mut(&peer) {
            guest.sessions = guest.sessions.saturating_sub(1);
        }
    }

    // Places.

    pub(super) fn enter(
        &self,
        peer: PeerId,
        network: NetworkPrefix,
        bytes: u64,
    ) -> Result<(PlaceId, watch::Receiver<Call>), QueueFull> {
        let mut state = self.state();
        let (place, effects) = state.queue.enter(peer, network, bytes, now())?;
        let (call, calls) = watch::channel(Call::Silence);
        state.places.insert(place, call);
        state.apply(&effects);
        drop(state);
        self.entered.notify_one();
        self.changed();
        Ok((place, calls))
    }

    pub(super) fn leave(&self, place: PlaceId, how: Leaving) {
        let mut state = self.state();
        state.places.remove(&place);
        let effects = state.queue.leave(place, how, now());
        state.apply(&effects);
        drop(state);
        self.changed();
    }

    // Transfers.

    /// On what a request would be served now; `is_small` as a taste may be.
    pub(super) fn footing(&self, peer: PeerId, size: Size) -> Footing {
        let state = self.state();
        if state.slots.contains_key(&peer) {
            Footing::Slot
        } else if size != Size::Full && state.guests.get(&peer).is_some_and(|guest| guest.tastes.has_some(now())) {
            Footing::Taste
        } else {
            Footing::Neither
        }
    }

    /// Begins a transfer. `None` if there is neither a slot nor anything left of the budget any more.
    pub(super) fn begin(&self, peer: PeerId, file: FileId, size: Size) -> Option<Transfer<'_>> {
        let mut state = self.state();
        let now = now();
        let slot = state.slots.get(&peer).map(watch::Sender::subscribe);
        let guest = state.guests.get_mut(&peer)?;
        if slot.is_none() && (size == Size::Full || !guest.tastes.spend(now)) {
            return None;
        }
        guest.begin(file, now);
        // Who only looks leaves its slot idle.
        let slot = slot.filter(|_| size != Size::Nothing);
        if slot.is_some() {
            state.queue.range_began(peer);
        }
        drop(state);
        self.changed();
        Some(Transfer { desk: self, peer, slot })
    }

    /// Others who fetch this file now and pass on what they have, latest first.
    pub(super) fn also_fetching(&self, file: FileId, except: PeerId) -> Vec<PeerId> {
        let (state, now) = (self.state(), now());
        let mut fetching: Vec<(Instant, PeerId)> = state
            .guests
            .iter()
            .filter(|(peer, guest)| **peer != except && guest.sessions > 0 && guest.serves_parts)
            .filter_map(|(peer, guest)| Some((guest.asked_for(file)?, *peer)))
            .filter(|(asked, _)| now.saturating_duration_since(*asked) < FETCHES_FOR)
            .collect();
        fetching.sort_by_key(|(asked, peer)| (std::cmp::Reverse(*asked), *peer));
        fetching.into_iter().take(MAX_MORE_SOURCES).map(|(_, peer)| peer).collect()
    }

    // Complaints.

    /// Whether a complaint is worth hashing the file again: only from a peer that was sent bytes of it, only a few
    /// from each, and not right after it was hashed. A liar must not make us hash all day.
    pub(super) fn heeds(&self, peer: PeerId, file: FileId) -> bool {
        self.state().guests.get_mut(&peer).is_some_and(|guest| guest.complain(file, now())) && self.may_recheck(file)
    }

    pub(super) fn may_recheck(&self, file: FileId) -> bool {
        let now = now();
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < RECHECK_EVERY;
        let mut state = self.state();
        if state.rechecked.len() >= RECHECKED_MAX {
            state.rechecked.retain(|_, at| is_recent(at));
        }
        if state.rechecked.get(&file).is_some_and(is_recent) {
            return false;
        }
        state.rechecked.insert(file, now);
        true
    }

    // Lists.

    pub(super) fn list(&self) -> Vec<UploadStatus> {
        let state = self.state();
        let now = now();
        let statuses = state.queue.standings().map(|(peer, standing)| {
            let guest = state.guests.get(&peer);
            let state = match standing {
                Standing::Waiting { ahead } => UploadState::Queued { ahead },
                Standing::Slot if guest.is_some_and(|guest| guest.transfers > 0) => UploadState::Sending,
                Standing::Slot => UploadState::SlotIdle,
            };
            UploadStatus {
                peer,
                file_id: guest.and_then(|guest| guest.last_file()),
                bytes_sent: guest.map_or(0, |guest| guest.sent),
                bytes_per_second: guest.map_or(0, |guest| guest.rate.per_second(now) as u64),
                state,
                path_kind: guest.map(|guest| guest.path_kind.clone()),
            }
        });
        statuses.collect()
    }

    pub(super) fn totals(&self) -> Totals {
        let state = self.state();
        Totals { bytes_sent: state.sent, bytes_per_second: state.rate.per_second(now()) as u64 }
    }

    fn changed(&self) {
        self.changes.send_modify(|version| *version = version.wrapping_add(1));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn apply(&mut self, effects: &[Effect]) {
        for effect in effects {
            match *effect {
                Effect::Place { place, ahead, eta } => self.call(place, Call::Wait { ahead, eta }),
                Effect::Granted { place, peer } => {
                    // Transfers go on when another place of the same key takes the slot over.
                    self.slots.entry(peer).or_default();
                    self.call(place, Call::Come);
                }
                Effect::SlotEnded { place, peer, why } => {
                    let code = match why {
                        SlotEnd::TooSlow => StreamCode::TooSlow,
                        SlotEnd::Idle | SlotEnd::TurnOver | SlotEnd::Left => StreamCode::SlotEnded,
                    };
                    if let Some(slot) = self.slots.remove(&peer) {
                        slot.send_replace(Some(code));
                    }
                    if why == SlotEnd::Idle {
                        self.call(place, Call::Over);
                    }
                }
                Effect::Superseded { place } => self.call(place, Call::Over),
            }
        }
    }

    fn call(&self, place: PlaceId, call: Call) {
        if let Some(place) = self.places.get(&place) {
            place.send_replace(call);
        }
    }
}

/// Whether a request is small enough to be served without a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// No bytes at all.
    Nothing,
    Taste,
    Full,
}

/// One range on its way, from the first byte to the last; dropping it ends it.
pub(super) struct Transfer<'a> {
    desk: &'a Desk,
    peer: PeerId,
    /// `None` for a taste.
    slot: Option<watch::Receiver<Option<StreamCode>>>,
}

impl Transfer<'_> {
    pub(super) fn sent(&self, bytes: u64) {
        let now = now();
        let mut state = self.desk.state();
        state.sent += bytes;
        state.rate.add(bytes, now);
        state.queue.sent(self.peer, bytes, now);
        if let Some(guest) = state.guests.get_mut(&self.peer) {
            guest.sent(bytes, now);
        }
    }

    /// A future that resolves when the transfer must stop, to the code to stop it with.
    pub(super) fn revoked(&self) -> impl Future<Output = StreamCode> + use<> {
        let slot = self.slot.clone();
        async move {
            let Some(mut slot) = slot else {
                tokio::time::sleep(TASTE_TIME).await;
                return StreamCode::TooSlow;
            };
            let ended = slot.wait_for(Option::is_some).await;
            ended.ok().and_then(|code| *code).unwrap_or(StreamCode::SlotEnded)
        }
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        let mut state = self.desk.state();
        if let Some(guest) = state.guests.get_mut(&self.peer) {
            guest.transfers = guest.transfers.saturating_sub(1);
        }
        // A slot that ended took its count with it; the peer may have another by now.
        if self.slot.as_ref().is_some_and(|slot| slot.borrow().is_none()) {
            state.queue.range_ended(self.peer, now());
        }
        drop(state);
        self.desk.changed();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use choir_shared::identity::SecretKey;
    use choir_shared::leaf::FileLength;

    use super::super::queue::SLOT_IDLE;
    use super::*;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_seed(&[seed; 32]).peer_id()
    }

    fn file() -> FileId {
        FileId::new(choir_shared::Digest::of(b"song"), FileLength::new(1).unwrap())
    }

    /// A desk with one slot, and what the peers `1..=count` are told, the first of whom has the slot.
    fn desk_with(count: u8) -> (Desk, Vec<(PlaceId, watch::Receiver<Call>)>) {
        let desk = Desk::new(Limits { slots: 1, places: 9, rate: None });
        let places = (1..=count).map(|seed| {
            desk.arrived(peer(seed), "direct");
            desk.enter(peer(seed), NetworkPrefix::of(HOME), 1).unwrap()
        });
        let places = places.collect();
        (desk, places)
    }

    fn let_pass(desk: &Desk, span: Duration) {
        let mut state = desk.state();
        let effects = state.queue.tick(now() + span);
        state.apply(&effects);
    }

    #[test]
    fn a_slot_is_idle_only_when_its_last_transfer_ended() {
        let (desk, places) = desk_with(1);
        let transfers: Vec<_> = (0..2).map(|_| desk.begin(peer(1), file(), Size::Full).unwrap()).collect();
        for transfer in transfers {
            let_pass(&desk, SLOT_IDLE);
            assert_eq!(*places[0].1.borrow(), Call::Come);
            drop(transfer);
        }
        let_pass(&desk, SLOT_IDLE);
        assert_eq!(*places[0].1.borrow(), Call::Over);
        assert!(desk.begin(peer(1), file(), Size::Full).is_none());
    }

    #[test]
    fn a_transfer_of_a_slot_that_ended_does_not_count_against_the_next() {
        let (desk, places) = desk_with(1);
        let old = desk.begin(peer(1), file(), Size::Full).unwrap();
        desk.leave(places[0].0, Leaving::ByChoice);
        let (_, again) = desk.enter(peer(1), NetworkPrefix::of(HOME), 1).unwrap();
        let new = desk.begin(peer(1), file(), Size::Full).unwrap();
        drop(old);
        let_pass(&desk, SLOT_IDLE);
        assert_eq!(*again.borrow(), Call::Come, "the new transfer is still under way");
        drop(new);
    }

    #[test]
    fn who_fetches_a_file_hears_of_others_who_do_and_pass_it_on() {
        let (desk, _places) = desk_with(4);
        for seed in [1, 2, 3] {
            desk.introduced(peer(seed), SERVES_PARTS);
        }
        for seed in [1, 2, 4] {
            desk.begin(peer(seed), file(), Size::Nothing).unwrap();
        }
        assert_eq!(desk.also_fetching(file(), peer(1)), [peer(2)], "not oneself, not who asked for nothing of it");
        assert_eq!(desk.also_fetching(file(), peer(4)), [peer(2), peer(1)], "latest first");
        desk.departed(peer(2));
        assert_eq!(desk.also_fetching(file(), peer(4)), [peer(1)]);
    }

    #[test]
    fn a_look_does_not_keep_a_slot() {
        let (desk, places) = desk_with(1);
        let look = desk.begin(peer(1), file(), Size::Nothing).unwrap();
        let_pass(&desk, SLOT_IDLE);
        assert_eq!(*places[0].1.borrow(), Call::Over);
        drop(look);
    }

    #[test]
    fn who_leaves_makes_room_and_a_taste_takes_none() {
        let (desk, places) = desk_with(2);
        assert!(desk.begin(peer(2), file(), Size::Full).is_none());
        let taste = desk.begin(peer(2), file(), Size::Taste).unwrap();
        assert_eq!(*places[1].1.borrow(), Call::Wait { ahead: 0, eta: None });
        desk.leave(places[0].0, Leaving::ByChoice);
        assert_eq!(*places[1].1.borrow(), Call::Come);
        drop(taste);
        let_pass(&desk, SLOT_IDLE);
        assert_eq!(desk.list(), []);
    }
}
