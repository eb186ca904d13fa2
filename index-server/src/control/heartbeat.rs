//! When to ask a silent peer whether it is still there, and when to give it up.

use std::time::{Duration, Instant};

/// A busy connection needs no asking. Routers forget an idle TCP connection after minutes, some after two.
const ASK_AFTER: Duration = Duration::from_secs(60);

/// The answer to a ping takes a round trip; lost packets make it some seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

pub(super) struct Heartbeat {
    heard: Instant,
    asked: bool,
}

/// What is to be done when the deadline has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Ask,
    GiveUp,
}

impl Heartbeat {
    pub(super) const fn new(now: Instant) -> Self {
        Self { heard: now, asked: false }
    }

    pub(super) const fn heard(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    pub(super) fn deadline(&self) -> Instant {
        self.heard + ASK_AFTER + if self.asked { ANSWER_WITHIN } else { Duration::ZERO }
    }

    pub(super) const fn due(&mut self) -> Due {
        if self.asked {
            Due::GiveUp
        } else {
            self.asked = true;
            Due::Ask
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_peer_is_asked_once_and_any_sound_will_do_for_an_answer() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start);
        assert_eq!(heartbeat.deadline(), start + ASK_AFTER);
        assert_eq!(heartbeat.due(), Due::Ask);
        assert_eq!(heartbeat.deadline(), start + ASK_AFTER + ANSWER_WITHIN);

        heartbeat.heard(start + ASK_AFTER);
        assert_eq!(heartbeat.due(), Due::Ask, "it answered, so it is asked again");
        assert_eq!(heartbeat.due(), Due::GiveUp);
    }
}
