//! The upload limit, shared fairly.
//!
//! - **The limit holds over any second**: whoever wants to send asks first, and is let go when the line is due again.
//!   What was not used is not saved up, but for a moment that makes up for coarse timers.
//! - **Fair by peer, not by stream**: a peer with sixteen streams gets what a peer with one gets. Of those who ask,
//!   the one that was let go for the fewest bytes is next (start-time fair queueing: Goyal, Vin, Cheng 1996).
//! - **What one cannot use goes to the others**: who does not ask is not counted, and gets nothing for it later.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use choir_shared::PeerId;
use tokio::sync::{Notify, oneshot};

use crate::clock::now;

/// How far the line may lag behind before unused time is lost: timers are late by milliseconds, not by more.
const BURST: Duration = Duration::from_millis(100);

/// Sixteen parts a second keep the line even at any limit.
const PARTS_PER_SECOND: u64 = 16;

/// Smaller parts would cost more in packets and wake-ups than they even out.
const LEAST_PART: u64 = 1024;

/// What one part is at high limits, and how far a late limit overshoots.
const MOST_PART: u64 = 256 << 10;

/// One request to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AskId(u64);

/// Decides who may send next, and when.
#[derive(Debug)]
pub struct Pace {
    limit: Option<NonZeroU64>,
    /// When the bytes let go so far will have left at the limit.
    due: Instant,
    lanes: HashMap<PeerId, Lane>,
    /// The tag of the ask that was let go last: where newcomers begin.
    clock: u64,
    asked: u64,
}

#[derive(Debug)]
struct Lane {
    /// Bytes let go, counted from where the others stood when the lane opened.
    tag: u64,
    asks: VecDeque<(AskId, u64)>,
}

impl Pace {
    /// `limit` in bytes per second.
    pub fn new(limit: Option<NonZeroU64>, now: Instant) -> Self {
        Self { limit, due: now, lanes: HashMap::new(), clock: 0, asked: 0 }
    }

    /// Counts from now on; debts under the old limit are forgiven.
    pub fn set_limit(&mut self, limit: Option<NonZeroU64>, now: Instant) {
        self.limit = limit;
        self.due = now;
    }

    pub const fn limit(&self) -> Option<NonZeroU64> {
        self.limit
    }

    pub fn ask(&mut self, peer: PeerId, bytes: u64) -> AskId {
        let id = AskId(self.asked);
        self.asked += 1;
        let clock = self.clock;
        let lane = self.lanes.entry(peer).or_insert_with(|| Lane { tag: clock, asks: VecDeque::new() });
        if lane.asks.is_empty() {
            lane.tag = lane.tag.max(clock);
        }
        lane.asks.push_back((id, bytes));
        id
    }

    pub fn withdraw(&mut self, peer: PeerId, id: AskId) {
        if let Some(lane) = self.lanes.get_mut(&peer) {
            lane.asks.retain(|(asked, _)| *asked != id);
        }
        self.close_idle_lanes();
    }

    /// Those who may send now, in order.
    pub fn release(&mut self, now: Instant) -> Vec<AskId> {
        let mut released = Vec::new();
        while self.limit.is_none() || self.due <= now {
            let open = self.lanes.iter_mut().filter(|(_, lane)| !lane.asks.is_empty());
            let Some((_, lane)) = open.min_by_key(|(peer, lane)| (lane.tag, **peer)) else { break };
            let Some((id, bytes)) = lane.asks.pop_front() else { break };
            self.clock = self.clock.max(lane.tag);
            lane.tag += bytes;
            if let Some(limit) = self.limit {
                let earliest = now.checked_sub(BURST).unwrap_or(now);
                self.due = self.due.max(earliest) + Duration::from_secs_f64(bytes as f64 / limit.get() as f64);
            }
            released.push(id);
        }
        self.close_idle_lanes();
        released
    }

    /// When [`Pace::release`] will let the next one go, if anybody asks.
    pub fn next_release(&self) -> Option<Instant> {
        self.lanes.values().any(|lane| !lane.asks.is_empty()).then_some(self.due)
    }

    /// A lane that is ahead of the others is kept although nobody asks: it would be forgotten how much it had.
    fn close_idle_lanes(&mut self) {
        let clock = self.clock;
        self.lanes.retain(|_, lane| !lane.asks.is_empty() || lane.tag > clock);
    }
}

/// How much to ask for at once at `limit`.
pub fn part_bytes(limit: NonZeroU64) -> usize {
    (limit.get() / PARTS_PER_SECOND).clamp(LEAST_PART, MOST_PART) as usize
}

/// [`Pace`] for tasks that wait.
#[derive(Debug)]
pub struct Pacer {
    state: Mutex<Waiting>,
    limit_changed: Notify,
    /// [`part_bytes`], or 0 without a limit: then nobody needs the lock.
    part: AtomicUsize,
}

#[derive(Debug)]
struct Waiting {
    pace: Pace,
    /// As many as tasks send at this moment.
    wakers: HashMap<AskId, oneshot::Sender<()>>,
}

impl Waiting {
    fn release(&mut self, now: Instant) {
        for id in self.pace.release(now) {
            if let Some(waker) = self.wakers.remove(&id) {
                let _ = waker.send(());
            }
        }
    }
}

impl Pacer {
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

    /// Waits until `peer` may send some of `wanted` bytes, and says how many.
    pub async fn take(&self, peer: PeerId, wanted: usize) -> usize {
        let part = self.part.load(Ordering::Relaxed);
        if part == 0 || wanted == 0 {
            return wanted;
        }
        let bytes = wanted.min(part);
        let (waker, mut released) = oneshot::channel();
        let id = {
            let mut state = self.state();
            let id = state.pace.ask(peer, bytes as u64);
            state.wakers.insert(id, waker);
            id
        };
        let _withdrawn_when_dropped = Asking { pacer: self, peer, id };
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

    fn state(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes its ask back when the task that made it goes away.
struct Asking<'a> {
    pacer: &'a Pacer,
    peer: PeerId,
    id: AskId,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut state = self.pacer.state();
        if state.wakers.remove(&self.id).is_some() {
            state.pace.withdraw(self.peer, self.id);
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
    use choir_shared::identity::SecretKey;
    use proptest::prelude::*;

    use super::*;

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_seed(&[seed; 32]).peer_id()
    }

    fn limit(bytes: u64) -> Option<NonZeroU64> {
        NonZeroU64::new(bytes)
    }

    /// Bytes that each peer was let go for within `span`, if peer `n` always has `streams[n]` asks waiting.
    fn shares(streams: &[usize], limit_bytes: u64, span: Duration) -> Vec<u64> {
        let start = Instant::now();
        let mut pace = Pace::new(limit(limit_bytes), start);
        let part = part_bytes(NonZeroU64::new(limit_bytes).unwrap()) as u64;
        let peers: Vec<_> = (0..streams.len() as u8).map(peer).collect();
        let mut asker = HashMap::new();
        for (number, count) in streams.iter().enumerate() {
            for _ in 0..*count {
                asker.insert(pace.ask(peers[number], part), number);
            }
        }
        let mut sent = vec![0; streams.len()];
        while let Some(due) = pace.next_release().filter(|due| *due < start + span) {
            for id in pace.release(due) {
                let number = asker.remove(&id).unwrap();
                sent[number] += part;
                asker.insert(pace.ask(peers[number], part), number);
            }
        }
        sent
    }

    #[test]
    fn sixteen_streams_get_no_more_than_one() {
        let sent = shares(&[16, 1, 3], 3_000_000, Duration::from_secs(10));
        for bytes in sent {
            assert!((9_700_000..10_300_000).contains(&bytes), "{bytes}");
        }
    }

    #[test]
    fn what_one_cannot_use_goes_to_the_other() {
        // The second sends a part a second; the first takes all the rest.
        let start = Instant::now();
        let mut pace = Pace::new(limit(1_600_000), start);
        let part = part_bytes(NonZeroU64::new(1_600_000).unwrap()) as u64;
        let mut sent = 0;
        let mut now = start;
        let mut slow = pace.ask(peer(2), part);
        let mut fast = pace.ask(peer(1), part);
        let mut slow_again_at = start;
        while now < start + Duration::from_secs(10) {
            for id in pace.release(now) {
                if id == fast {
                    sent += part;
                    fast = pace.ask(peer(1), part);
                } else {
                    assert_eq!(id, slow);
                    slow_again_at = now + Duration::from_secs(1);
                }
            }
            if slow_again_at > start && now >= slow_again_at {
                slow = pace.ask(peer(2), part);
                slow_again_at = start;
            }
            now = pace.next_release().unwrap().max(now);
        }
        assert!(sent > 14_500_000, "{sent}");
    }

    #[test]
    fn without_a_limit_nobody_waits_and_a_new_limit_forgives_the_old_debt() {
        let start = Instant::now();
        let mut pace = Pace::new(limit(1), start);
        pace.ask(peer(1), 1_000_000);
        assert_eq!(pace.release(start).len(), 1);
        pace.ask(peer(1), 1_000_000);
        assert!(pace.release(start + Duration::from_secs(1000)).is_empty());
        pace.set_limit(limit(2_000_000), start);
        assert_eq!(pace.release(start).len(), 1);
        pace.set_limit(None, start);
        let asks: Vec<_> = (0..50).map(|_| pace.ask(peer(1), 1_000_000)).collect();
        assert_eq!(pace.release(start), asks);
        assert_eq!(pace.next_release(), None);
    }

    #[tokio::test]
    async fn tasks_wait_for_the_line_and_are_let_go_at_once_when_the_limit_is_lifted() {
        let pacer = std::sync::Arc::new(Pacer::new(Some(40_000_000)));
        let started = Instant::now();
        let mut left = 4_000_000;
        while left > 0 {
            left -= pacer.take(peer(1), left).await;
        }
        assert!(started.elapsed() > Duration::from_millis(80), "{:?}", started.elapsed());

        // At a byte a second the second part is due in a quarter of an hour.
        pacer.set_limit(Some(1));
        pacer.take(peer(1), 1 << 20).await;
        let waiting = tokio::spawn({
            let pacer = std::sync::Arc::clone(&pacer);
            async move { pacer.take(peer(1), 1 << 20).await }
        });
        tokio::task::yield_now().await;
        pacer.set_limit(None);
        waiting.await.unwrap();
        assert_eq!(pacer.take(peer(1), 1 << 20).await, 1 << 20);
    }

    #[tokio::test]
    async fn who_goes_away_while_it_waits_leaves_nothing_behind() {
        let pacer = Pacer::new(Some(1));
        pacer.take(peer(1), 1024).await;
        let waits = tokio::time::timeout(Duration::ZERO, pacer.take(peer(2), 1024)).await;
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
                sizes.insert(pace.ask(peer(who), bytes), bytes);
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
            prop_assert!(pace.lanes.len() <= 4);
        }
    }
}
