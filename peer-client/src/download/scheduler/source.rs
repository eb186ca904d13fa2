//! What the scheduler knows of one source.

use std::time::{Duration, Instant};

use choir_shared::leaf::{LEAF_BYTES, LeafSet};

use super::{MAX_REQUEST_LEAVES, MIN_REQUEST_LEAVES, REQUEST_TIME};

/// The number of a source within one download.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// Bytes per second believed of a first source: a middling home uplink, so that its first requests are small.
pub(super) const UNKNOWN_RATE: f64 = 1_000_000.0;

/// Half of what is known of the rate is younger than this.
const HALF_LIFE: Duration = Duration::from_millis(300);

/// Less than this under way and every round trip shows.
const LEAST_IN_FLIGHT: f64 = 256.0 * 1024.0;

/// More than this much time under way and a source that fails takes too much with it.
const LONGEST_IN_FLIGHT: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Source {
    pub(super) has: LeafSet,
    pub(super) round_trip: Duration,
    /// When something last came of it, or it was first asked after having nothing to do.
    pub(super) heard: Instant,
    /// It was silent for so long that its requests were taken back; one delivery lifts that.
    pub(super) is_stalled: bool,
    /// Where its region goes on.
    pub(super) cursor: Option<u32>,
    rate: f64,
    measured: bool,
    window_start: Instant,
    window_bytes: u64,
    /// Bytes that came since they were last a sign of life.
    unchecked: u64,
}

/// A kibibyte for each second of [`STALLED`](super::STALLED): who takes less than that loses its upload slot, so who
/// sends less is no better.
const SIGN_OF_LIFE: u64 = 1024 * super::STALLED.as_secs();

/// Deliveries are summed for this long before they count: single batches come in bursts.
const WINDOW: Duration = Duration::from_millis(50);

impl Source {
    pub(super) fn new(has: LeafSet, round_trip: Duration, rate: f64, now: Instant) -> Self {
        Self {
            has,
            round_trip,
            heard: now,
            is_stalled: false,
            cursor: None,
            rate,
            measured: false,
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

    pub(super) fn asked(&mut self, end: u32, now: Instant) {
        self.cursor = Some(end);
        // Silence counts from the request, not from a time when nothing was wanted.
        if now.saturating_duration_since(self.heard) > WINDOW && self.window_bytes == 0 {
            self.heard = now;
            self.window_start = now;
        }
    }

    /// Bytes came that are not checked yet: a sign of life, unless they only trickle.
    pub(super) fn arrived(&mut self, bytes: u64, now: Instant) {
        self.unchecked += bytes;
        if self.unchecked >= SIGN_OF_LIFE {
            self.unchecked = 0;
            self.heard = now;
        }
    }

    pub(super) fn delivered(&mut self, bytes: u64, now: Instant) {
        self.heard = now;
        self.is_stalled = false;
        self.window_bytes += bytes;
        let elapsed = now.saturating_duration_since(self.window_start);
        if elapsed < WINDOW {
            return;
        }
        let sample = self.window_bytes as f64 / elapsed.as_secs_f64();
        let keep = if self.measured { 0.5f64.powf(elapsed.as_secs_f64() / HALF_LIFE.as_secs_f64()) } else { 0.0 };
        self.rate = self.rate * keep + sample * (1.0 - keep);
        self.measured = true;
        self.window_start = now;
        self.window_bytes = 0;
    }

    /// Twice what the line holds, within bounds of bytes and of time.
    pub(super) fn wanted_in_flight(&self) -> f64 {
        let line = 2.0 * self.rate() * self.round_trip.as_secs_f64();
        let longest = self.rate() * LONGEST_IN_FLIGHT.as_secs_f64();
        line.min(longest).max(LEAST_IN_FLIGHT)
    }

    pub(super) fn request_leaves(&self) -> u32 {
        let leaves = self.rate() * REQUEST_TIME.as_secs_f64() / f64::from(LEAF_BYTES);
        (leaves as u32).clamp(MIN_REQUEST_LEAVES, MAX_REQUEST_LEAVES)
    }
}
