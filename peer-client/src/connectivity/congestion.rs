//! Which lost packets mean that a line is full.
//!
//! CUBIC (RFC 9438) takes every loss for that. On a line that loses one packet in a thousand for other reasons, as
//! poor Wi-Fi and mobile networks do, it sends at a fraction of what the line carries, and a single loss at the
//! beginning ends slow start before it has begun: a song that takes a second without takes eight with it. So each loss
//! is judged before CUBIC hears of it:
//!
//! 1. **Congestion that is said or lasts is believed:** a mark by a router (ECN), or everything lost for long.
//! 2. **A full line has a queue before it.** A loss is believed if round trips take longer than the shortest did, by
//!    more than chance explains ([`Judge::sees_queue`]).
//! 3. **Where there is no room for a queue, a full line loses much.** A loss is believed if it makes the lost more than
//!    [`HEAVY`] of what arrived lately.
//!
//! Any other loss is repaired, and the window stays as it is. A round trip that varies looks like a queue, so in doubt
//! all is as with CUBIC alone. At one full line with CUBIC it takes its half and no more; BBR, which quinn has too,
//! takes nine tenths and loses a quarter to a half of what it sends wherever the buffer is small. The figures are in
//! `docs/PERFORMANCE.md`.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{BbrConfig, Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use quinn_proto::RttEstimator;

use crate::config::Congestion;

/// What may be under way before anything was acknowledged: 32 packets, as Chromium sends. With ten, the hashes of a
/// song and its first leaf would wait for an acknowledgement.
const INITIAL_WINDOW: u64 = 32 * 1200;

/// Below this, round trips differ because programs and radios are busy.
const LEAST_QUEUE: Duration = Duration::from_millis(2);

/// And below this part of the shortest round trip.
const QUEUE_PART: u32 = 16;

/// Lost of all, in one part of so many: two in a hundred, what BBR's third version puts up with.
const HEAVY: u64 = 50;

/// So many packets more may be lost in two round trips before that says something about the line.
const BY_CHANCE: u64 = 3;

/// What finds out how much a path carries.
pub(super) fn controller(congestion: Congestion) -> Arc<dyn ControllerFactory + Send + Sync> {
    let mut cubic = CubicConfig::default();
    cubic.initial_window(INITIAL_WINDOW);
    match congestion {
        Congestion::Discerning => Arc::new(DiscerningConfig(Arc::new(cubic))),
        Congestion::Cubic => Arc::new(cubic),
        Congestion::Bbr => {
            let mut bbr = BbrConfig::default();
            bbr.initial_window(INITIAL_WINDOW);
            Arc::new(bbr)
        }
    }
}

struct DiscerningConfig(Arc<CubicConfig>);

impl ControllerFactory for DiscerningConfig {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn Controller> {
        Box::new(Discerning { cubic: Arc::clone(&self.0).build(now, mtu), judge: Judge::new(now, mtu) })
    }
}

/// CUBIC that hears only of losses that mean something.
struct Discerning {
    cubic: Box<dyn Controller>,
    judge: Judge,
}

impl Controller for Discerning {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.cubic.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, round_trip: &RttEstimator) {
        self.judge.acknowledged(bytes, round_trip.get(), round_trip.min(), now);
        self.cubic.on_ack(now, sent, bytes, app_limited, round_trip);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest: Option<u64>) {
        self.cubic.on_end_acks(now, in_flight, app_limited, largest);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        let is_marked = lost_bytes == 0;
        // Counted in any case.
        let is_full = self.judge.lost(lost_bytes, now);
        if is_marked || is_persistent || is_full {
            self.cubic.on_congestion_event(now, sent, is_persistent, lost_bytes);
        }
    }

    fn on_mtu_update(&mut self, mtu: u16) {
        self.judge.mtu = mtu.into();
        self.cubic.on_mtu_update(mtu);
    }

    fn window(&self) -> u64 {
        self.cubic.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        self.cubic.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { cubic: self.cubic.clone_box(), judge: self.judge })
    }

    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// What happened in this round trip and the one before.
#[derive(Clone, Copy, Debug)]
struct Judge {
    mtu: u64,
    round_trip: Duration,
    shortest: Duration,
    round_began: Instant,
    this_round: Tally,
    last_round: Tally,
}

/// In bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    acknowledged: u64,
    lost: u64,
}

impl Judge {
    fn new(now: Instant, mtu: u16) -> Self {
        Self {
            mtu: mtu.into(),
            round_trip: Duration::ZERO,
            shortest: Duration::ZERO,
            round_began: now,
            this_round: Tally::default(),
            last_round: Tally::default(),
        }
    }

    fn acknowledged(&mut self, bytes: u64, round_trip: Duration, shortest: Duration, now: Instant) {
        (self.round_trip, self.shortest) = (round_trip, shortest);
        self.begin_round(now);
        self.this_round.acknowledged += bytes;
    }

    /// Whether the line is full.
    fn lost(&mut self, bytes: u64, now: Instant) -> bool {
        self.begin_round(now);
        self.this_round.lost += bytes;
        self.sees_queue() || self.loses_much()
    }

    fn sees_queue(&self) -> bool {
        self.round_trip > self.shortest + LEAST_QUEUE.max(self.shortest / QUEUE_PART)
    }

    fn loses_much(&self) -> bool {
        let lost = self.this_round.lost + self.last_round.lost;
        let all = lost + self.this_round.acknowledged + self.last_round.acknowledged;
        lost > all / HEAVY + BY_CHANCE * self.mtu
    }

    fn begin_round(&mut self, now: Instant) {
        if now.saturating_duration_since(self.round_began) >= self.round_trip {
            self.last_round = std::mem::take(&mut self.this_round);
            self.round_began = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MTU: u16 = 1452;
    const PACKET: u64 = MTU as u64;
    const SHORTEST: Duration = Duration::from_millis(50);

    /// After two round trips of a hundred packets each.
    fn judge(round_trip: Duration) -> (Judge, Instant) {
        let start = Instant::now();
        let mut judge = Judge::new(start, MTU);
        for round in 0..2 {
            judge.acknowledged(100 * PACKET, round_trip, SHORTEST, start + round_trip * round);
        }
        (judge, start + round_trip)
    }

    #[test]
    fn a_loss_without_a_queue_says_nothing() {
        let (mut judge, now) = judge(SHORTEST + Duration::from_millis(2));
        assert!(!judge.lost(PACKET, now));
    }

    #[test]
    fn a_loss_behind_a_queue_is_congestion() {
        let (mut judge, now) = judge(SHORTEST + Duration::from_millis(4));
        assert!(judge.lost(PACKET, now));
    }

    #[test]
    fn short_lines_are_given_some_milliseconds() {
        let mut judge = Judge::new(Instant::now(), MTU);
        let one = Duration::from_millis(1);
        judge.acknowledged(PACKET, 3 * one, one, judge.round_began);
        assert!(!judge.sees_queue());
        judge.acknowledged(PACKET, 3 * one + one / 2, one, judge.round_began);
        assert!(judge.sees_queue());
    }

    #[test]
    fn many_losses_are_congestion_also_without_a_queue() {
        let (mut judge, now) = judge(SHORTEST);
        // Two in a hundred of two hundred, and three.
        let verdicts: Vec<_> = (0..8).map(|_| judge.lost(PACKET, now)).collect();
        assert_eq!(verdicts, [false, false, false, false, false, false, false, true]);
    }

    #[test]
    fn a_few_losses_of_a_few_packets_are_not_many() {
        let mut judge = Judge::new(Instant::now(), MTU);
        judge.acknowledged(10 * PACKET, SHORTEST, SHORTEST, judge.round_began);
        assert!(!judge.lost(3 * PACKET, judge.round_began));
        assert!(judge.lost(PACKET, judge.round_began), "but four of ten are");
    }

    #[test]
    fn what_was_lost_long_ago_does_not_count() {
        let (mut judge, mut now) = judge(SHORTEST);
        judge.lost(7 * PACKET, now);
        for _ in 0..2 {
            now += SHORTEST;
            judge.acknowledged(100 * PACKET, SHORTEST, SHORTEST, now);
        }
        assert!(!judge.lost(PACKET, now));
    }

    #[test]
    fn cubic_hears_of_what_is_believed_and_of_nothing_else() {
        let start = Instant::now();
        let mut controller = controller(Congestion::Discerning).build(start, MTU);
        let before = controller.window();
        controller.on_congestion_event(start, start, false, PACKET);
        assert_eq!(controller.window(), before);
        let mut marked = controller.clone_box();
        marked.on_congestion_event(start, start, false, 0);
        assert!(marked.window() < before, "a router's mark counts");
        controller.on_congestion_event(start, start, true, PACKET);
        assert!(controller.window() < before / 2, "and so does silence");
    }
}
