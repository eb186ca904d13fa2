//! One upload slot: what it did, and whether it may go on.

use std::time::{Duration, Instant};

use choir_shared::PeerId;
use choir_shared::address::NetworkPrefix;

use super::{Age, LEAST_RATE_SPAN, PlaceId, SLOT_IDLE, SlotEnd, TURN, Waiting};

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) place: PlaceId,
    pub(super) peer: PeerId,
    pub(super) network: NetworkPrefix,
    /// The age with which it was granted.
    pub(super) age: Age,
    /// Ranges under way.
    pub(super) ranges: u32,
    /// When the last range ended.
    pub(super) used_at: Instant,
    granted_at: Instant,
    announced: u64,
    sent: u64,
    /// Since when the rate is watched, and what was sent since.
    watched: Option<(Instant, u64)>,
}

impl Slot {
    pub(super) const fn grant(waiting: Waiting, now: Instant) -> Self {
        Self {
            place: waiting.place,
            peer: waiting.peer,
            network: waiting.network,
            age: waiting.age,
            ranges: 0,
            used_at: now,
            granted_at: now,
            announced: waiting.bytes,
            sent: 0,
            watched: None,
        }
    }

    /// The same key came again, perhaps from elsewhere, and announces anew.
    pub(super) const fn inherit(&mut self, place: PlaceId, network: NetworkPrefix, bytes: u64) {
        self.place = place;
        self.network = network;
        self.announced = self.sent.saturating_add(bytes);
    }

    pub(super) const fn count(&mut self, bytes: u64) {
        self.sent = self.sent.saturating_add(bytes);
        if let Some((_, watched)) = &mut self.watched {
            *watched += bytes;
        }
    }

    pub(super) const fn remaining(&self) -> u64 {
        self.announced.saturating_sub(self.sent)
    }

    pub(super) fn held(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.granted_at)
    }

    /// Why the slot ends now, if it does. `least_rate` is in bytes per second.
    pub(super) fn verdict(&mut self, others_wait: bool, least_rate: u64, now: Instant) -> Option<SlotEnd> {
        if self.ranges == 0 {
            self.watched = None;
            if now.saturating_duration_since(self.used_at) >= SLOT_IDLE {
                return Some(SlotEnd::Idle);
            }
        }
        if !others_wait {
            self.watched = None;
            return None;
        }
        if self.held(now) >= TURN {
            return Some(SlotEnd::TurnOver);
        }
        if self.ranges > 0 {
            let (since, bytes) = *self.watched.get_or_insert((now, 0));
            let span = now.saturating_duration_since(since);
            if span >= LEAST_RATE_SPAN {
                if (bytes as f64) < least_rate as f64 * span.as_secs_f64() {
                    return Some(SlotEnd::TooSlow);
                }
                self.watched = Some((now, 0));
            }
        }
        None
    }
}
