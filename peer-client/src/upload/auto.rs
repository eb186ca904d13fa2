//! The upload limit `auto`: as fast as the line goes without delaying everything else on it.
//!
//! A home's router keeps what does not fit on the line, often for a second, and calls and games wait behind it. So the
//! sum of all uploads is steered by how much later answers come than they could, as LEDBAT (RFC 6817) steers one
//! connection:
//!
//! 1. **A queue before our line delays all connections.** Of each the shortest round trip is remembered; what is on
//!    top of it now is its delay. The line's delay is the lower median of those of the connections that carry
//!    something: so one reader with a full line of its own, or one who lies, does not slow the others down.
//! 2. **The delay is held at [`TARGET`].** Below it, what may be under way at once grows in proportion to what is
//!    missing; above it, it shrinks, faster the farther it is off.
//! 3. **The limit is that amount by a time which contains the delay.** So the rate gives way at once when the delay
//!    rises, which keeps the two from swinging against each other.
//! 4. **At first it grows fast**, until the first delay shows; then as carefully as the answers are late.
//! 5. **What is not used does not grow**, or the next reader would fill the router's buffer at once.
//! 6. **A delay that stays at the lowest limit is not ours**: the way has become longer. What is measured then is the
//!    new shortest.
//!
//! Nothing here waits or reads a clock.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What calls bear: RFC 6817 allows at most 100 ms (section 2.4.2), of which the swing around it shall take its part.
const TARGET: Duration = Duration::from_millis(60);

/// How late the answer to a change can be: round trips, their smoothing, the time between two measurements. Smaller,
/// and the limit swings; larger, and a narrower line is found out late. From a model of lines from 5 Mbit/s on with
/// round trips of 20 to 200 ms, in which 0.15 s to 0.4 s made no great difference.
const REACTION: Duration = Duration::from_millis(250);

/// How much of itself the amount grows by in a second, where nothing is delayed: to twice as much in three and a half.
const GROWTH: f64 = 0.2;

/// The same until there is a first delay.
const FIRST_GROWTH: f64 = 0.5;

/// A delay of so much of the target ends the first growth. By the time it shows, the line is overfull.
const FIRST_DELAY: f64 = 0.5;
const STEP_BACK: f64 = 0.8;

/// The most by which a delay counts as too long, in targets.
const FASTEST_SHRINKING: f64 = 4.0;

/// Whoever uses less of the limit than this does not need more.
const USED: f64 = 0.7;

/// Bytes per second before anything is known: what the slowest of today's lines carry.
const START: f64 = 256.0 * 1024.0;

/// Below this nobody would call it uploading.
const LEAST: f64 = 16.0 * 1024.0;

/// At the lowest limit every queue of ours has drained by then.
const NOT_OURS_AFTER: Duration = Duration::from_secs(10);

/// How one connection did since the last measurement.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Which connection it is.
    pub line: usize,
    pub round_trip: Duration,
}

/// Decides how fast to upload.
#[derive(Debug)]
pub struct AutoLimit {
    /// What may be under way, in bytes.
    amount: f64,
    delay: Duration,
    is_first_growth: bool,
    shortest: HashMap<usize, Duration>,
    measured: Instant,
    /// Since when it is as low as it gets, and that is not enough.
    helpless_since: Option<Instant>,
}

impl AutoLimit {
    pub fn new(now: Instant) -> Self {
        Self {
            amount: START * REACTION.as_secs_f64(),
            delay: Duration::ZERO,
            is_first_growth: true,
            shortest: HashMap::new(),
            measured: now,
            helpless_since: None,
        }
    }

    /// Bytes per second.
    pub fn limit(&self) -> u64 {
        (self.amount / (REACTION + self.delay).as_secs_f64()).max(LEAST) as u64
    }

    /// The connection is gone.
    pub fn forget(&mut self, line: usize) {
        self.shortest.remove(&line);
    }

    /// To be called several times a second: how those connections did that carried something, and how many bytes all
    /// of them sent since the last call.
    pub fn measure(&mut self, readings: &[Reading], sent: u64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.measured).as_secs_f64();
        self.measured = now;
        let Some(delay) = self.lower_median(readings) else { return };
        let is_used = sent as f64 >= USED * self.limit() as f64 * elapsed;
        self.delay = delay;
        let missing = 1.0 - delay.as_secs_f64() / TARGET.as_secs_f64();
        if self.is_first_growth && delay > TARGET.mul_f64(FIRST_DELAY) {
            self.is_first_growth = false;
            self.amount *= STEP_BACK;
        }
        if missing < 0.0 || is_used {
            let growth = if self.is_first_growth { FIRST_GROWTH } else { GROWTH };
            self.amount *= (growth * missing.max(-FASTEST_SHRINKING) * elapsed).exp();
        }
        self.amount = self.amount.max(LEAST * REACTION.as_secs_f64());
        self.doubt(readings, now);
    }

    fn lower_median(&mut self, readings: &[Reading]) -> Option<Duration> {
        let mut delays = Vec::with_capacity(readings.len());
        for Reading { line, round_trip } in readings {
            let shortest = self.shortest.entry(*line).or_insert(*round_trip);
            *shortest = (*shortest).min(*round_trip);
            delays.push(*round_trip - *shortest);
        }
        delays.sort_unstable();
        delays.get(delays.len().saturating_sub(1) / 2).copied()
    }

    /// Rule 6.
    fn doubt(&mut self, readings: &[Reading], now: Instant) {
        if self.delay <= TARGET || self.limit() as f64 > LEAST {
            self.helpless_since = None;
            return;
        }
        let since = *self.helpless_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= NOT_OURS_AFTER {
            self.shortest.extend(readings.iter().map(|reading| (reading.line, reading.round_trip)));
            self.is_first_growth = true;
            self.helpless_since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const TICK: Duration = Duration::from_millis(100);
    const STEP: Duration = Duration::from_millis(10);

    /// A line with a deep buffer, and what is measured on it.
    struct World {
        auto: AutoLimit,
        start: Instant,
        now: Instant,
        /// Bytes per second.
        line: f64,
        shortest: Duration,
        /// Bytes before the line.
        queue: f64,
        /// Round trips that will be known at a time.
        under_way: VecDeque<(Instant, Duration)>,
        round_trip: Duration,
        demand: f64,
        sent: f64,
        carried: f64,
    }

    impl World {
        fn new(line: f64, shortest: Duration) -> Self {
            let start = Instant::now();
            Self {
                auto: AutoLimit::new(start),
                start,
                now: start,
                line,
                shortest,
                queue: 0.0,
                under_way: VecDeque::new(),
                round_trip: shortest,
                demand: f64::MAX,
                sent: 0.0,
                carried: 0.0,
            }
        }

        fn delay(&self) -> Duration {
            Duration::from_secs_f64(self.queue / self.line)
        }

        /// Lets time pass. Returns the longest delay in it, and the part of the line that was used.
        fn pass(&mut self, span: Duration) -> (Duration, f64) {
            let (end, mut longest) = (self.now + span, Duration::ZERO);
            self.carried = 0.0;
            while self.now < end {
                let step = STEP.as_secs_f64();
                let sent = self.demand.min(self.auto.limit() as f64) * step;
                let carried = (self.queue + sent).min(self.line * step);
                self.queue = (self.queue + sent - carried).max(0.0);
                (self.sent, self.carried) = (self.sent + sent, self.carried + carried);
                let round_trip = self.shortest + self.delay();
                self.under_way.push_back((self.now + round_trip, round_trip));
                self.now += STEP;
                while let Some((_, seen)) = self.under_way.pop_front_if(|(at, _)| *at <= self.now) {
                    self.round_trip = self.round_trip.mul_f64(0.75) + seen.mul_f64(0.25);
                }
                if (self.now - self.start).as_millis().is_multiple_of(TICK.as_millis()) {
                    let reading = Reading { line: 1, round_trip: self.round_trip };
                    self.auto.measure(&[reading], self.sent as u64, self.now);
                    self.sent = 0.0;
                }
                longest = longest.max(self.delay());
            }
            (longest, self.carried / self.line / span.as_secs_f64())
        }
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_line_is_filled_and_none_delays_much(mbit in 2..200u32, shortest_ms in 10..150u64) {
            let mut world = World::new(f64::from(mbit) * 125_000.0, Duration::from_millis(shortest_ms));
            let (delay, _) = world.pass(seconds(30));
            prop_assert!(delay < Duration::from_millis(130), "{:?} at first", delay);
            let (delay, used) = world.pass(seconds(30));
            prop_assert!(delay < Duration::from_millis(80) && used > 0.97, "{:?} {}", delay, used);
        }

        #[test]
        fn the_limit_is_never_nothing_and_never_without_bounds(
            readings in prop::collection::vec((0..3usize, 0..10_000u64, 0..10_000_000u64), 1..200),
        ) {
            let start = Instant::now();
            let mut auto = AutoLimit::new(start);
            for (tick, (line, ms, sent)) in (1..).zip(readings) {
                let reading = Reading { line, round_trip: Duration::from_millis(ms) };
                auto.measure(&[reading], sent, start + TICK * tick);
                prop_assert!((LEAST as u64..10_000_000_000).contains(&auto.limit()), "{:?}", auto);
            }
        }
    }

    #[test]
    fn a_line_that_becomes_narrow_is_given_way_to_and_one_that_becomes_wide_is_filled() {
        let mut world = World::new(1e6, Duration::from_millis(50));
        world.pass(seconds(30));
        world.line = 0.5e6;
        world.pass(seconds(8));
        let (delay, used) = world.pass(seconds(5));
        assert!(delay < Duration::from_millis(100) && used > 0.9, "{delay:?} {used}");
        world.line = 5e6;
        world.pass(seconds(20));
        let (delay, used) = world.pass(seconds(5));
        assert!(delay < Duration::from_millis(100) && used > 0.9, "{delay:?} {used}");
    }

    #[test]
    fn what_is_not_used_does_not_grow() {
        let mut world = World::new(1e6, Duration::from_millis(50));
        world.demand = 100_000.0;
        world.pass(seconds(60));
        assert!(world.auto.limit() as f64 <= START, "{}", world.auto.limit());
    }

    #[test]
    fn one_late_reader_of_three_slows_nobody_down() {
        let start = Instant::now();
        let mut auto = AutoLimit::new(start);
        for tick in 1..100 {
            let readings = [0, 0, 10 * u64::from(tick)].map(Duration::from_millis);
            let readings = [0, 1, 2].map(|line| Reading { line, round_trip: seconds(1) + readings[line] });
            auto.measure(&readings, u64::MAX, start + TICK * tick);
        }
        assert!(auto.limit() as f64 > 10.0 * START, "{}", auto.limit());
    }

    #[test]
    fn a_way_that_became_longer_is_no_queue_for_ever() {
        let mut world = World::new(1e6, Duration::from_millis(50));
        world.pass(seconds(20));
        world.shortest = Duration::from_millis(300);
        world.pass(seconds(60));
        let (delay, used) = world.pass(seconds(10));
        assert!(delay < Duration::from_millis(130) && used > 0.9, "{delay:?} {used}");
    }
}
