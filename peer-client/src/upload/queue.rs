//! Who may fetch, and who comes next.
//!
//! 1. **Slots are by peer, not by file**: a downloader with a slot fetches what it likes, in as many streams as it
//!    likes. A key has at most one place; when it takes another, the new one inherits what the old one had, so that
//!    a connection that died without a word holds nothing up.
//! 2. **Networks take turns, then the peers within a network, the longest wait first** ([`mod@line`]). Fifty keys from
//!    one rented server get one turn in each round, like the single peer of a home.
//! 3. **Age belongs to the key** and outlives its place by [`AGE_KEPT`]: a reconnect while waiting costs nothing.
//!    So is a restart of ours: ages are written down, and for [`RETURN_WITHIN`] slots are kept for who was before.
//! 4. **No network has all the slots while another waits.** If it holds two or more above those of one that waits,
//!    it gives back the latest of them, to the network with the fewest first: whoever comes with twenty keys has the
//!    slots for as long as nobody else asks.
//! 5. **A slot must be used** ([`slot`]): idle for [`SLOT_IDLE`] it ends; a reader that takes almost nothing, or one
//!    that had [`TURN`] already, goes back to the end of the queue, but only while others wait.
//! 6. **Places only move forward**, unless somebody older returns, or a network that had fewer turns arrives.
//!
//! Nothing here waits or reads a clock: `now` comes in, [`Effect`]s go out.

mod line;
mod slot;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use choir_shared::PeerId;
use choir_shared::address::NetworkPrefix;

use self::line::{Age, Line, Waiting};
use self::slot::Slot;
use crate::rate::Rate;

/// How long the age of a key is remembered: a laptop that changes trains, a router that restarts.
pub const AGE_KEPT: Duration = Duration::from_secs(15 * 60);

/// Who lost us to a restart of ours dials again within seconds.
pub const RETURN_WITHIN: Duration = Duration::from_secs(10);

/// A downloader asks again within a round trip; ten seconds without a request mean that it has nothing to ask for.
pub const SLOT_IDLE: Duration = Duration::from_secs(10);

/// After this long with a slot others come first, or four people who mirror a library would lock out everyone.
/// Long enough for an album of lossless files over an ordinary line.
pub const TURN: Duration = Duration::from_secs(15 * 60);

/// Less than this is no download: the other side's disk is full, or it keeps the slot for later.
const LEAST_RATE: u64 = 1024;

/// Over how long the least rate must be kept.
const LEAST_RATE_SPAN: Duration = Duration::from_secs(30);

/// Estimates are told again when they are off by more than one part in this many.
const ETA_STEPS: u32 = 4;

/// One place in the queue, or the slot that it became.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceId(u64);

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub slots: usize,
    /// Peers that wait without a slot.
    pub places: usize,
    /// The upload limit in bytes per second: a reader is not slow because we are.
    pub rate: Option<u64>,
}

/// What the shell must tell or do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The place waits, with so many before it. After a slot ended, this says that it waits again.
    Place { place: PlaceId, ahead: u32, eta: Option<Duration> },
    /// The place became a slot.
    Granted { place: PlaceId, peer: PeerId },
    /// What is being sent to the peer must stop.
    SlotEnded { place: PlaceId, peer: PeerId, why: SlotEnd },
    /// The same key took another place, which inherited this one.
    Superseded { place: PlaceId },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotEnd {
    /// Not used; the place is over as well.
    Idle,
    /// The reader took almost nothing while others waited, and waits again.
    TooSlow,
    /// It had its turn, or its network has more than others, and now it waits too.
    TurnOver,
    /// The downloader left.
    Left,
}

/// How a place ended from the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    ByChoice,
    ConnectionLost,
}

/// The queue has no place left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upload queue is full")]
pub struct QueueFull;

/// What a key has gained by waiting, for another run of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptAge {
    pub peer: PeerId,
    pub waited: Duration,
    /// Rounds until the first that may be its own.
    pub rounds: u64,
}

/// Where a peer stands, for lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Slot,
    Waiting { ahead: u32 },
}

/// The slots and the line before them.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    line: Line,
    /// In the order in which they were granted.
    slots: Vec<Slot>,
    places: u64,
    rate: Rate,
    /// Until when slots are kept for those of another run.
    expecting_until: Instant,
}

impl Queue {
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, line: Line::default(), slots: Vec::new(), places: 0, rate: Rate::new(now), expecting_until: now }
    }

    pub fn set_rate_limit(&mut self, rate: Option<u64>) {
        self.limits.rate = rate;
    }

    /// The ages of all, next first.
    pub fn ages(&self, now: Instant) -> Vec<KeptAge> {
        let slots = self.slots.iter().map(|slot| self.line.age_of(slot.peer, slot.age, now));
        slots.chain(self.line.ages(now)).collect()
    }

    /// Ages of another run, in the order in which it told them; to be called before anybody enters.
    pub fn restore(&mut self, ages: &[KeptAge], now: Instant) {
        for age in ages {
            self.line.restore(age, PlaceId(self.places), now);
            self.places += 1;
        }
        self.expecting_until = now + RETURN_WITHIN;
    }

    /// A peer takes a place, announcing how many bytes it means to fetch.
    pub fn enter(
        &mut self,
        peer: PeerId,
        network: NetworkPrefix,
        bytes: u64,
        now: Instant,
    ) -> Result<(PlaceId, Vec<Effect>), QueueFull> {
        let mut effects = Vec::new();
        let place = PlaceId(self.places);
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.peer == peer) {
            effects.push(Effect::Superseded { place: slot.place });
            effects.push(Effect::Granted { place, peer });
            slot.inherit(place, network, bytes);
        } else {
            if let Some(old) = self.line.place_of(peer) {
                effects.push(Effect::Superseded { place: old });
                self.line.leave(old, now);
            } else if self.line.len() >= self.limits.places && self.slots.len() >= self.limits.slots {
                return Err(QueueFull);
            }
            self.line.join(place, peer, network, bytes, now);
            self.settle(now, &mut effects);
        }
        self.places += 1;
        Ok((place, effects))
    }

    /// The place's stream ended. Places that ended already are ignored.
    pub fn leave(&mut self, place: PlaceId, how: Leaving, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(at) = self.slots.iter().position(|slot| slot.place == place) {
            let slot = self.slots.remove(at);
            if how == Leaving::ConnectionLost {
                // It would wait no longer than it had to anyway; only its network's turn is used up.
                self.line.keep(slot.peer, slot.network, slot.age, now);
            }
            effects.push(Effect::SlotEnded { place, peer: slot.peer, why: SlotEnd::Left });
        } else {
            self.line.leave(place, now);
        }
        self.settle(now, &mut effects);
        effects
    }

    /// A range for the peer begins. Each is followed by one [`Queue::range_ended`].
    pub fn range_began(&mut self, peer: PeerId) {
        if let Some(slot) = self.slot_of(peer) {
            slot.ranges += 1;
        }
    }

    pub fn sent(&mut self, peer: PeerId, bytes: u64, now: Instant) {
        self.rate.add(bytes, now);
        if let Some(slot) = self.slot_of(peer) {
            slot.count(bytes);
        }
    }

    /// A range ended, whether whole or not.
    pub fn range_ended(&mut self, peer: PeerId, now: Instant) {
        if let Some(slot) = self.slot_of(peer) {
            slot.ranges = slot.ranges.saturating_sub(1);
            slot.used_at = now;
        }
    }

    /// What time alone changes; to be called about once a second.
    pub fn tick(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        let least_rate = self.least_rate();
        let mut waiting = self.line.len();
        let slots = std::mem::take(&mut self.slots);
        for mut slot in slots {
            let Some(why) = slot.verdict(waiting > 0, least_rate, now) else {
                self.slots.push(slot);
                continue;
            };
            effects.push(Effect::SlotEnded { place: slot.place, peer: slot.peer, why });
            // Each slot that becomes free serves one who waits.
            waiting = waiting.saturating_sub(1);
            if why != SlotEnd::Idle {
                self.line.join(slot.place, slot.peer, slot.network, slot.remaining(), now);
            }
        }
        while let Some((richest, place)) = self.uneven(now) {
            let slot = self.slots.remove(richest);
            effects.push(Effect::SlotEnded { place: slot.place, peer: slot.peer, why: SlotEnd::TurnOver });
            if let Some(next) = self.line.take(place) {
                self.grant(next, now, &mut effects);
            }
            self.line.join(slot.place, slot.peer, slot.network, slot.remaining(), now);
        }
        self.line.forget(now);
        self.settle(now, &mut effects);
        effects
    }

    /// Whether time alone can change anything.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.line.len() == 0
    }

    pub fn holds_slot(&self, peer: PeerId) -> bool {
        self.slots.iter().any(|slot| slot.peer == peer)
    }

    /// Slots first, then the line in order.
    pub fn standings(&self) -> impl Iterator<Item = (PeerId, Standing)> {
        let slots = self.slots.iter().map(|slot| (slot.peer, Standing::Slot));
        let waiting = (0..).zip(self.line.iter()).map(|(ahead, waiting)| (waiting.peer, Standing::Waiting { ahead }));
        slots.chain(waiting)
    }

    /// The slot to take from a network that has too many, and the place to give it to.
    fn uneven(&self, now: Instant) -> Option<(usize, PlaceId)> {
        if self.slots.len() < self.limits.slots {
            return None;
        }
        let held_by = |network| self.slots.iter().filter(|slot| slot.network == network).count();
        let most = self.slots.iter().map(|slot| held_by(slot.network)).max()?;
        // Not to the first of the line: its network may have to give the slot back for a still poorer one at once.
        let waited = self.line.iter().filter(|waiting| waiting.age.since() < now);
        let poor = waited.min_by_key(|waiting| held_by(waiting.network))?;
        if held_by(poor.network) + 2 > most {
            return None;
        }
        let richest = self.slots.iter().rposition(|slot| held_by(slot.network) == most)?;
        Some((richest, poor.place))
    }

    fn grant(&mut self, next: Waiting, now: Instant, effects: &mut Vec<Effect>) {
        effects.push(Effect::Granted { place: next.place, peer: next.peer });
        self.slots.push(Slot::grant(next, now));
    }

    fn slot_of(&mut self, peer: PeerId) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.peer == peer)
    }

    /// Half a fair share at most, or a low limit would make every reader a slow one.
    fn least_rate(&self) -> u64 {
        let fair = self.limits.rate.map_or(u64::MAX, |rate| rate / self.limits.slots.max(1) as u64);
        LEAST_RATE.min(fair / 2)
    }

    /// Fills free slots, then tells everyone whose place or estimate changed.
    fn settle(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        loop {
            let expected = if now < self.expecting_until { self.line.absent_before_first() } else { 0 };
            if self.slots.len() + expected >= self.limits.slots {
                break;
            }
            let Some(next) = self.line.next() else { break };
            self.grant(next, now, effects);
        }
        let etas = self.etas(now);
        for ((ahead, waiting), eta) in (0..).zip(self.line.iter_mut()).zip(etas) {
            let news = (ahead, eta);
            if waiting.told.is_none_or(|told| differs(told, news)) {
                waiting.told = Some(news);
                effects.push(Effect::Place { place: waiting.place, ahead, eta });
            }
        }
    }

    /// When each of the line will have a slot, if everyone fetches what it announced, the rate stays, and the slots
    /// share it evenly. A guess; the turn bounds what anybody can make others believe.
    fn etas(&self, now: Instant) -> Vec<Option<Duration>> {
        let rate = self.rate.per_second(now) / self.limits.slots.max(1) as f64;
        if rate < 1.0 || self.slots.is_empty() {
            return vec![None; self.line.len()];
        }
        let turn = TURN.as_secs_f64();
        let mut free_in: Vec<f64> = self
            .slots
            .iter()
            .map(|slot| (slot.remaining() as f64 / rate).min(turn - slot.held(now).as_secs_f64()).max(0.0))
            .collect();
        let etas = self.line.iter().map(|waiting| {
            let soonest = free_in.iter_mut().min_by(|a, b| a.total_cmp(b))?;
            let eta = Duration::from_secs_f64(*soonest);
            *soonest += (waiting.bytes as f64 / rate).min(turn);
            Some(eta)
        });
        etas.collect()
    }
}

/// Whether it is worth telling: any change of the place, and estimates that are well off.
fn differs(told: (u32, Option<Duration>), news: (u32, Option<Duration>)) -> bool {
    told.0 != news.0
        || match (told.1, news.1) {
            (Some(old), Some(new)) => old.abs_diff(new) > old / ETA_STEPS + Duration::from_secs(1),
            (old, new) => old.is_some() != new.is_some(),
        }
}
