//! When to ask a silent peer whether it is still there, and when to give it up.
//!
//! After a restart of the index thousands come back within a minute, and would all be asked in the same one. So the
//! first question has a moment of its own, chosen by lot, whatever is heard before; the later ones follow it.

use std::time::{Duration, Instant};

/// A busy connection needs no asking. Routers forget an idle TCP connection after minutes, some after two.
const ASK_AFTER: Duration = Duration::from_secs(60);

/// The answer to a ping takes a round trip; lost packets make it some seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

pub(super) struct Heartbeat {
    deadline: Instant,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was asked yet.
    New,
    Asked,
    Answered,
}

/// What is to be done when the deadline has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Ask,
    GiveUp,
}

impl Heartbeat {
    /// `lot` is any number, equally likely.
    pub(super) fn new(now: Instant, lot: u32) -> Self {
        let share = f64::from(lot) / f64::from(u32::MAX);
        Self { deadline: now + ASK_AFTER.mul_f64(share), state: State::New }
    }

    pub(super) fn heard(&mut self, now: Instant) {
        if self.state != State::New {
            *self = Self { deadline: now + ASK_AFTER, state: State::Answered };
        }
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn due(&mut self) -> Due {
        if self.state == State::Asked {
            return Due::GiveUp;
        }
        *self = Self { deadline: self.deadline + ANSWER_WITHIN, state: State::Asked };
        Due::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_peer_is_asked_once_and_any_sound_will_do_for_an_answer() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, u32::MAX);
        assert_eq!(heartbeat.deadline(), start + ASK_AFTER);
        assert_eq!(heartbeat.due(), Due::Ask);
        assert_eq!(heartbeat.deadline(), start + ASK_AFTER + ANSWER_WITHIN);

        heartbeat.heard(start + ASK_AFTER);
        assert_eq!(heartbeat.deadline(), start + 2 * ASK_AFTER);
        assert_eq!(heartbeat.due(), Due::Ask, "it answered, so it is asked again");
        assert_eq!(heartbeat.due(), Due::GiveUp);
    }

    #[test]
    fn those_who_come_together_are_asked_one_after_the_other() {
        const PEERS: u32 = 6_000;
        let start = Instant::now();
        let mut asked_in = [0; 180];
        for number in 0..PEERS {
            let mut heartbeat = Heartbeat::new(start, number * (u32::MAX / PEERS));
            // It says at once what it waits for, and answers from then on.
            heartbeat.heard(start + Duration::from_millis(10));
            while let Some(asked) = asked_in.get_mut((heartbeat.deadline() - start).as_secs() as usize) {
                *asked += 1;
                assert_eq!(heartbeat.due(), Due::Ask);
                heartbeat.heard(heartbeat.deadline() - ANSWER_WITHIN);
            }
        }
        let evenly = PEERS / ASK_AFTER.as_secs() as u32;
        assert!(asked_in.iter().all(|asked| (evenly - 2..=evenly + 2).contains(asked)), "{asked_in:?}");
    }
}
