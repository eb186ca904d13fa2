//! A limit in bytes per second, shared fairly by all who are under it.
//!
//! - **The limit holds over any second**: whoever wants to go asks first, and is let go when the line is due again.
//!   What was not used is not saved up, but for a moment that makes up for coarse timers.
//! - **Fair by house, then by member, not by stream.** For uploads a house is a network and a member is a peer of it:
//!   a peer with sixteen streams gets what a peer with one gets, and twenty keys of one rented server get together
//!   what the single peer of a home gets. For downloads a house is a file. Of those who ask, the one that was let go
//!   for the fewest bytes is next, first among houses, then within the house (start-time fair queueing: Goyal, Vin,
//!   Cheng 1996).
//! - **What one cannot use goes to the others**: who does not ask is not counted, and gets nothing for it later.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use crate::clock::now;

/// How far the line may lag behind before unused time is lost: timers are late by milliseconds, not by more.
/// What is made up for goes all at once and waits before the line, so it is little.
const BURST: Duration = Duration::from_millis(25);

/// A part at a high limit is many seconds at a low one, and nobody waits so long for a change.
const LONGEST_DEBT: Duration = Duration::from_secs(1);

/// A part goes all at once and makes others on a slow line wait for as long as it takes: 16 ms.
const PARTS_PER_SECOND: u64 = 64;

/// Smaller parts would cost more in packets and wake-ups than they even out.
const LEAST_PART: u64 = 1024;

/// What one part is at high limits, and how far a late limit overshoots.
const MOST_PART: u64 = 256 << 10;

/// One request to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AskId(u64);

/// What a house or a member is known by.
pub trait Key: Copy + Eq + Hash + Ord {}

impl<T: Copy + Eq + Hash + Ord> Key for T {}

/// Decides who may go next, and when.
#[derive(Debug)]
pub struct Pace<H, M> {
    limit: Option<NonZeroU64>,
    /// When the bytes let go so far will have gone at the limit.
    due: Instant,
    houses: HashMap<H, House<M>>,
    /// The tag of the house that was let go last: where newcomers begin.
    clock: u64,
    asked: u64,
}

#[derive(Debug)]
struct House<M> {
    /// Bytes let go, counted from where the others stood when the house came.
    tag: u64,
    lanes: HashMap<M, Lane>,
    /// As that of the houses, for the members of this one.
    clock: u64,
}

#[derive(Debug)]
struct Lane {
    tag: u64,
    asks: VecDeque<(AskId, u64)>,
}

impl<H: Key, M: Key> Pace<H, M> {
    /// `limit` in bytes per second.
    pub fn new(limit: Option<NonZeroU64>, now: Instant) -> Self {
        Self { limit, due: now, houses: HashMap::new(), clock: 0, asked: 0 }
    }

    /// Counts from now on. What went too early under the old limit is waited for at the new one, but not for long.
    pub fn set_limit(&mut self, limit: Option<NonZeroU64>, now: Instant) {
        let debt = self.due.saturating_duration_since(now).as_secs_f64();
        match (self.limit, limit) {
            (Some(old), Some(new)) if debt > 0.0 => {
                let debt = debt * old.get() as f64 / new.get() as f64;
                self.due = now + Duration::from_secs_f64(debt.min(LONGEST_DEBT.as_secs_f64()));
            }
            (Some(_), Some(_)) => {}
            _ => self.due = now,
        }
        self.limit = limit;
    }

    pub const fn limit(&self) -> Option<NonZeroU64> {
        self.limit
    }

    pub fn ask(&mut self, house: H, member: M, bytes: u64) -> AskId {
        let id = AskId(self.asked);
        self.asked += 1;
        let clock = self.clock;
        let house = self.houses.entry(house).or_insert_with(|| House { tag: clock, lanes: HashMap::new(), clock: 0 });
        if !house.asks() {
            house.tag = house.tag.max(clock);
        }
        let clock = house.clock;
        let lane = house.lanes.entry(member).or_insert_with(|| Lane { tag: clock, asks: VecDeque::new() });
        if lane.asks.is_empty() {
            lane.tag = lane.tag.max(clock);
        }
        lane.asks.push_back((id, bytes));
        id
    }

    pub fn withdraw(&mut self, house: H, member: M, id: AskId) {
        if let Some(lane) = self.houses.get_mut(&house).and_then(|house| house.lanes.get_mut(&member)) {
            lane.asks.retain(|(asked, _)| *asked != id);
        }
        self.close_idle_lanes();
    }

    /// Bytes that went without asking; those who ask wait for them.
    pub fn charge(&mut self, bytes: u64, now: Instant) {
        if let Some(limit) = self.limit {
            let earliest = now.checked_sub(BURST).unwrap_or(now);
            self.due = self.due.max(earliest) + Duration::from_secs_f64(bytes as f64 / limit.get() as f64);
        }
    }

    /// Those who may go now, in order.
    pub fn release(&mut self, now: Instant) -> Vec<AskId> {
        let mut released = Vec::new();
        while self.limit.is_none() || self.due <= now {
            let open = self.houses.iter_mut().filter(|(_, house)| house.asks());
            let Some((_, house)) = open.min_by_key(|(key, house)| (house.tag, **key)) else { break };
            let Some((id, bytes)) = house.next() else { break };
            self.clock = self.clock.max(house.tag);
            house.tag += bytes;
            self.charge(bytes, now);
            released.push(id);
        }
        self.close_idle_lanes();
        released
    }

    /// When [`Pace::release`] will let the next one go, if anybody asks.
    pub fn next_release(&self) -> Option<Instant> {
        self.houses.values().any(House::asks).then_some(self.due)
    }

    /// A lane that is ahead of the others is kept although nobody asks: it would be forgotten how much it had.
    fn close_idle_lanes(&mut self) {
        let clock = self.clock;
        self.houses.retain(|_, house| {
            let clock_within = house.clock;
            house.lanes.retain(|_, lane| !lane.asks.is_empty() || lane.tag > clock_within);
            house.asks() || house.tag > clock
        });
    }
}

impl<M: Key> House<M> {
    fn asks(&self) -> bool {
        self.lanes.values().any(|lane| !lane.asks.is_empty())
    }

    /// The ask of the member whose turn it is.
    fn next(&mut self) -> Option<(AskId, u64)> {
        let open = self.lanes.iter_mut().filter(|(_, lane)| !lane.asks.is_empty());
        let (_, lane) = open.min_by_key(|(key, lane)| (lane.tag, **key))?;
        let (id, bytes) = lane.asks.pop_front()?;
        self.clock = self.clock.max(lane.tag);
        lane.tag += bytes;
        Some((id, bytes))
    }
}

/// How much to ask for at once at `limit`.
pub fn part_bytes(limit: NonZeroU64) -> usize {
    (limit.get() / PARTS_PER_SECOND).clamp(LEAST_PART, MOST_PART) as usize
}

/// [`Pace`] for tasks that wait.
#[derive(Debug)]
pub struct Pacer<H: Key, M: Key> {
    state: Mutex<Waiting<H, M>>,
    limit_changed: Notify,
    /// [`part_bytes`], or 0 without a limit: then nobody needs the lock.
    part: AtomicUsize,
}

#[derive(Debug)]
struct Waiting<H, M> {
    pace: Pace<H, M>,
    /// As many as streams are under way at this moment.
    wakers: HashMap<AskId, oneshot::Sender<()>>,
}

impl<H: Key, M: Key> Waiting<H, M> {
    fn release(&mut self, now: Instant) {
        for id in self.pace.release(now) {
            if let Some(waker) = self.wakers.remove(&id) {
                let _ = waker.send(());
            }
        }
    }
}

impl<H: Key, M: Key> Pacer<H, M> {
    pub fn new(limit: Option<u64>) -> Self {
        let limit = limit.map(at_least_one);
        let state = Waiting { pace: Pace::new(limit, now()), wakers: HashMap::new() };
        Self { state: Mutex::new(state), limit_changed: Notify::new(), part: AtomicUsize::new(part_of(limit)) }
    }

    pub fn set_limit(&self, limit: Option<u64>) {
        let limit = limit.map(at_least_one);
        self.state().pace.set_limit(limit, now());
        self.part.store(part_of(limit), Ordering::Relaxed);
        self.limit_changed.notify_waiters();
    }

    pub fn limit(&self) -> Option<u64> {
        self.state().pace.limit().map(NonZeroU64::get)
    }

    /// What is asked for at once, or `None` without a limit.
    pub fn part(&self) -> Option<usize> {
        Some(self.part.load(Ordering::Relaxed)).filter(|part| *part > 0)
    }

    /// Waits until a member may have some of `wanted` bytes, and says how many.
    pub async fn take(&self, house: H, member: M, wanted: usize) -> usize {
        let Some(part) = self.part().filter(|_| wanted > 0) else { return wanted };
        let bytes = wanted.min(part);
        let (waker, mut released) = oneshot::channel();
        let id = {
            let mut state = self.state();
            let id = state.pace.ask(house, member, bytes as u64);
            state.wakers.insert(id, waker);
            id
        };
        let _withdrawn_when_dropped = Asking { pacer: self, house, member, id };
        loop {
            // Made before the lock is taken, so that no change is missed in between.
            let limit_changed = self.limit_changed.notified();
            let due = {
                let mut state = self.state();
                // Whoever is awake lets go everyone who is due.
                state.release(now());
                state.pace.next_release()
            };
            let due = tokio::time::Instant::from_std(due.unwrap_or_else(now));
            tokio::select! {
                biased;
                _ = &mut released => return bytes,
                () = limit_changed => {}
                () = tokio::time::sleep_until(due) => {}
            }
        }
    }

    /// See [`Pace::charge`].
    pub fn charge(&self, bytes: u64) {
        self.state().pace.charge(bytes, now());
    }

    fn state(&self) -> MutexGuard<'_, Waiting<H, M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes its ask back when the task that made it goes away.
struct Asking<'a, H: Key, M: Key> {
    pacer: &'a Pacer<H, M>,
    house: H,
    member: M,
    id: AskId,
}

impl<H: Key, M: Key> Drop for Asking<'_, H, M> {
    fn drop(&mut self) {
        let mut state = self.pacer.state();
        if state.wakers.remove(&self.id).is_some() {
            state.pace.withdraw(self.house, self.member, self.id);
        }
    }
}

/// A limit of nothing is the least one, not none.
fn at_least_one(limit: u64) -> NonZeroU64 {
    NonZeroU64::new(limit).unwrap_or(NonZeroU64::MIN)
}

fn part_of(limit: Option<NonZeroU64>) -> usize {
    limit.map_or(0, part_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(bytes: u64) -> Option<NonZeroU64> {
        NonZeroU64::new(bytes)
    }

    /// Bytes that each member was let go for within `span`, if everyone always has as many asks waiting as it has
    /// streams. A member is a house, a number within it and its streams.
    fn shares(members: &[(u8, u8, usize)], limit_bytes: u64, span: Duration) -> Vec<u64> {
        let start = Instant::now();
        let mut pace = Pace::new(limit(limit_bytes), start);
        let part = part_bytes(NonZeroU64::new(limit_bytes).unwrap()) as u64;
        let mut asker = HashMap::new();
        for (number, (house, member, streams)) in members.iter().enumerate() {
            for _ in 0..*streams {
                asker.insert(pace.ask(*house, *member, part), number);
            }
        }
        let mut sent = vec![0; members.len()];
        while let Some(due) = pace.next_release().filter(|due| *due < start + span) {
            for id in pace.release(due) {
                let number = asker.remove(&id).unwrap();
                sent[number] += part;
                let (house, member, _) = members[number];
                asker.insert(pace.ask(house, member, part), number);
            }
        }
        sent
    }

    #[test]
    fn fifty_streams_get_no_more_than_one() {
        let sent = shares(&[(1, 0, 50), (2, 0, 1), (3, 0, 3)], 3_000_000, Duration::from_secs(10));
        for bytes in sent {
            assert!((9_700_000..10_300_000).contains(&bytes), "{bytes}");
        }
    }

    #[test]
    fn twenty_keys_of_one_network_get_together_what_one_peer_of_another_gets() {
        let keys = (0..20).map(|key| (1, key, 3));
        let members: Vec<_> = keys.chain([(2, 0, 1)]).collect();
        let sent = shares(&members, 2_000_000, Duration::from_secs(10));
        let (of_network, of_home) = (sent[..20].iter().sum::<u64>(), sent[20]);
        assert!(of_home.abs_diff(of_network) <= 2 * MOST_PART, "{of_home} against {of_network}");
        // And within the network all get the same.
        assert!(sent[..20].iter().all(|bytes| (400_000..600_000).contains(bytes)), "{sent:?}");
    }

    #[test]
    fn what_went_without_asking_is_waited_for() {
        let start = Instant::now();
        let mut pace = Pace::new(limit(1_000_000), start);
        pace.charge(500_000, start);
        pace.ask(1, 1, 1000);
        assert!(pace.next_release().is_some_and(|due| due > start + Duration::from_millis(390)));
    }

    #[test]
    fn what_one_cannot_use_goes_to_the_other() {
        // The second sends a part a second; the first takes all the rest.
        let start = Instant::now();
        let mut pace = Pace::new(limit(1_600_000), start);
        let part = part_bytes(NonZeroU64::new(1_600_000).unwrap()) as u64;
        let mut sent = 0;
        let mut now = start;
        let mut slow = pace.ask(2, 2, part);
        let mut fast = pace.ask(1, 1, part);
        let mut slow_again_at = start;
        while now < start + Duration::from_secs(10) {
            for id in pace.release(now) {
                if id == fast {
                    sent += part;
                    fast = pace.ask(1, 1, part);
                } else {
                    assert_eq!(id, slow);
                    slow_again_at = now + Duration::from_secs(1);
                }
            }
            if slow_again_at > start && now >= slow_again_at {
                slow = pace.ask(2, 2, part);
                slow_again_at = start;
            }
            now = pace.next_release().unwrap().max(now);
        }
        assert!(sent > 14_500_000, "{sent}");
    }

    #[test]
    fn without_a_limit_nobody_waits_and_a_debt_is_one_of_bytes() {
        let start = Instant::now();
        let mut pace = Pace::new(limit(1), start);
        pace.ask(1, 1, 1_000_000);
        assert_eq!(pace.release(start).len(), 1);
        pace.ask(1, 1, 1_000_000);
        assert!(pace.release(start + Duration::from_secs(1000)).is_empty());
        pace.set_limit(limit(2_000_000), start);
        assert!(pace.release(start + Duration::from_millis(499)).is_empty());
        assert_eq!(pace.release(start + Duration::from_millis(500)).len(), 1);
        pace.set_limit(None, start);
        let asks: Vec<_> = (0..50).map(|_| pace.ask(1, 1, 1_000_000)).collect();
        assert_eq!(pace.release(start), asks);
        assert_eq!(pace.next_release(), None);
    }

    #[tokio::test]
    async fn tasks_wait_for_the_line_and_are_let_go_at_once_when_the_limit_is_lifted() {
        let pacer = std::sync::Arc::new(Pacer::new(Some(40_000_000)));
        let started = Instant::now();
        let mut left = 4_000_000;
        while left > 0 {
            left -= pacer.take(1, 1, left).await;
        }
        assert!(started.elapsed() > Duration::from_millis(80), "{:?}", started.elapsed());

        // At a byte a second the second part is due in a quarter of an hour.
        let pacer = std::sync::Arc::new(Pacer::new(Some(1)));
        pacer.take(1, 1, 1 << 20).await;
        let waiting = tokio::spawn({
            let pacer = std::sync::Arc::clone(&pacer);
            async move { pacer.take(1, 1, 1 << 20).await }
        });
        tokio::task::yield_now().await;
        pacer.set_limit(None);
        waiting.await.unwrap();
        assert_eq!(pacer.take(1, 1, 1 << 20).await, 1 << 20);
    }

    #[tokio::test]
    async fn who_goes_away_while_it_waits_leaves_nothing_behind() {
        let pacer = Pacer::new(Some(1));
        pacer.take(1, 1, 1024).await;
        let waits = tokio::time::timeout(Duration::ZERO, pacer.take(2, 2, 1024)).await;
        assert!(waits.is_err() && pacer.state().wakers.is_empty());
        assert_eq!(pacer.state().pace.next_release(), None);
    }

    proptest! {
        #[test]
        fn the_limit_holds_whatever_is_asked(
            limit_bytes in 1_000..10_000_000u64,
            asks in prop::collection::vec((0..4u8, 1..100_000u64, 0..200u64), 1..100),
        ) {
            let start = Instant::now();
            let mut pace = Pace::new(limit(limit_bytes), start);
            let mut sizes = HashMap::new();
            let (mut now, mut sent, mut last) = (start, 0, 0);
            for (who, bytes, pause_ms) in asks {
                sizes.insert(pace.ask(who, who, bytes), bytes);
                now += Duration::from_millis(pause_ms);
                for id in pace.release(now) {
                    last = sizes.remove(&id).unwrap();
                    sent += last;
                }
                let allowed = (now - start + BURST).as_secs_f64() * limit_bytes as f64 + last as f64;
                prop_assert!(sent as f64 <= allowed + 1.0, "{} of {}", sent, allowed);
            }
            while let Some(due) = pace.next_release() {
                for id in pace.release(due.max(now)) {
                    sizes.remove(&id);
                }
                now = due.max(now);
            }
            prop_assert!(sizes.is_empty(), "everyone is let go in the end");
            prop_assert!(pace.houses.len() <= 4);
        }
    }
}
