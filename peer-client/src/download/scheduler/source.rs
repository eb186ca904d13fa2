//! What the scheduler knows of one source.

use std::time::{Duration, Instant};

use choir_shared::leaf::{LEAF_BYTES, LeafSet};

use super::{MAX_REQUEST_LEAVES, MAX_REQUESTS, MIN_REQUEST_LEAVES, REQUEST_TIME};

/// The number of a source within one download.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// Bytes per second believed of a first source: a middling home uplink, so that its first requests are small.
pub(super) const UNKNOWN_RATE: f64 = 1_000_000.0;

/// Deliveries are summed for this long before they count, and for a round trip at least: they come in bursts.
const WINDOW: Duration = Duration::from_millis(50);

/// Half of what is known of the rate is younger than this. But at first, while a rate only rises, it is believed at
/// once: senders begin slowly and double their pace with each round trip, if so much was asked of them.
const HALF_LIFE: Duration = Duration::from_millis(300);

/// Less than this under way and every round trip shows.
const LEAST_IN_FLIGHT: f64 = 256.0 * 1024.0;

/// What has arrived counts as under way until it is verified and written. At 500 MB/s that is several mebibytes, and
/// without them 1 GiB took an eighth longer (measured).
const UNTIL_WRITTEN: Duration = Duration::from_millis(20);

/// More than this much time under way and a source that fails takes too much with it. Above the round trips of the
/// farthest lines, for with less under way than a line holds its rate could only fall.
const LONGEST_IN_FLIGHT: Duration = Duration::from_secs(1);

/// Silence for this long, or three round trips if that is longer, is no pause between two packets.
const PATIENCE: Duration = Duration::from_millis(300);

/// A kibibyte for each second of [`STALLED`](super::STALLED): who takes less than that loses its upload slot, so who
/// sends less is no better.
const SIGN_OF_LIFE: u64 = 1024 * super::STALLED.as_secs();

#[derive(Debug)]
pub(super) struct Source {
    pub(super) has: LeafSet,
    /// The shortest that was seen: what comes on top is our own packets waiting in some buffer.
    pub(super) round_trip: Duration,
    /// When something last came of it, or it was first asked after having nothing to do.
    pub(super) heard: Instant,
    /// It was asked whether it is there since something last came of it.
    pub(super) is_nudged: bool,
    /// It was silent for so long that others may have what it was asked for; the next sign of life lifts that.
    pub(super) is_stalled: bool,
    /// A leaf of it was right, if only of another file.
    pub(super) is_proved: bool,
    /// It answers no new requests for now; what it has sent is still being read.
    pub(super) is_suspended: bool,
    /// Where its region goes on.
    pub(super) cursor: Option<u32>,
    rate: f64,
    measured: bool,
    /// It has only become faster so far.
    is_rising: bool,
    window_start: Instant,
    window_bytes: u64,
    /// Bytes that came since they were last a sign of life.
    unchecked: u64,
}

impl Source {
    pub(super) fn new(has: LeafSet, round_trip: Duration, rate: f64, now: Instant) -> Self {
        Self {
            has,
            round_trip,
            heard: now,
            is_nudged: false,
            is_stalled: false,
            is_proved: false,
            is_suspended: false,
            cursor: None,
            rate,
            measured: false,
            is_rising: true,
            window_start: now,
            window_bytes: 0,
            unchecked: 0,
        }
    }

    pub(super) fn is_measured(&self) -> bool {
        self.measured
    }

    /// Bytes per second, never 0.
    pub(super) fn rate(&self) -> f64 {
        self.rate.max(1.0)
    }

    /// What it can be at most by now, if it was asked for something: no news is news.
    pub(super) fn rate_by(&self, now: Instant) -> f64 {
        let waiting = now.saturating_duration_since(self.window_start).saturating_sub(self.round_trip);
        if waiting < WINDOW {
            return self.rate();
        }
        let most = (self.window_bytes as f64 + f64::from(LEAF_BYTES)) / waiting.as_secs_f64();
        self.rate().min(most).max(1.0)
    }

    /// It is asked for something after it had nothing to do: silence counts from here, and so does the rate, unless
    /// that was only a moment.
    pub(super) fn wakes(&mut self, now: Instant) {
        if now.saturating_duration_since(self.heard) > WINDOW {
            self.heard = now;
            self.window_start = now;
            self.window_bytes = 0;
        }
    }

    /// Bytes came that are not checked yet. Returns whether that is a sign of life: not if they only trickle.
    pub(super) fn arrived(&mut self, bytes: u64) -> bool {
        self.unchecked += bytes;
        let is_sign = self.unchecked >= SIGN_OF_LIFE;
        if is_sign {
            self.unchecked = 0;
        }
        is_sign
    }

    pub(super) fn delivered(&mut self, bytes: u64, now: Instant) {
        self.is_proved = true;
        self.window_bytes += bytes;
        let elapsed = now.saturating_duration_since(self.window_start);
        if elapsed < WINDOW.max(self.round_trip) {
            return;
        }
        let sample = self.window_bytes as f64 / elapsed.as_secs_f64();
        self.is_rising &= !self.measured || sample > self.rate;
        let keep = if self.is_rising { 0.0 } else { 0.5f64.powf(elapsed.as_secs_f64() / HALF_LIFE.as_secs_f64()) };
        self.rate = self.rate * keep + sample * (1.0 - keep);
        self.measured = true;
        self.window_start = now;
        self.window_bytes = 0;
    }

    /// Twice what the line holds, so that a rate can double with each round trip; within bounds of bytes and of time.
    pub(super) fn wanted_in_flight(&self) -> f64 {
        let longest = self.rate() * LONGEST_IN_FLIGHT.as_secs_f64();
        let unwritten = self.rate() * UNTIL_WRITTEN.as_secs_f64();
        (2.0 * self.line() + unwritten).min(longest).max(LEAST_IN_FLIGHT)
    }

    /// The bytes that are on the way at any moment.
    pub(super) fn line(&self) -> f64 {
        self.rate() * self.round_trip.as_secs_f64()
    }

    /// Seconds until it has sent so many leaves, if it is asked for them now and for nothing else.
    pub(super) fn time_for(&self, leaves: u32) -> f64 {
        self.round_trip.as_secs_f64() + f64::from(leaves) * f64::from(LEAF_BYTES) / self.rate()
    }

    /// How long it may say nothing before it is asked why, and others do its work if they have nothing else to do.
    pub(super) fn patience(&self) -> Duration {
        PATIENCE.max(self.round_trip * 3)
    }

    /// How much one request asks for: so much that the number of requests is no limit.
    pub(super) fn request_leaves(&self) -> u32 {
        let bytes = (self.rate() * REQUEST_TIME.as_secs_f64()).max(self.wanted_in_flight() / MAX_REQUESTS as f64);
        leaves_of_request(bytes)
    }

    /// How much a request asks for that is the only one.
    pub(super) fn leaves_in_flight(&self) -> u32 {
        leaves_of_request(self.wanted_in_flight())
    }
}

fn leaves_of_request(bytes: f64) -> u32 {
    ((bytes / f64::from(LEAF_BYTES)) as u32).clamp(MIN_REQUEST_LEAVES, MAX_REQUEST_LEAVES)
}
