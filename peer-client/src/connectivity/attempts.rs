//! Who may still be dialled: a pure memory of what failed lately.
//!
//! An address that failed [`MAX_FAILURES`] times within [`WINDOW`] is left alone until the first of these is old.
//! Without it a hostile index could make its members knock at one address again and again. An address where the peer
//! that was meant has answered within [`ANSWERED`] is no stranger's: it may be dialled while its peer starts anew.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const MAX_FAILURES: usize = 3;
const WINDOW: Duration = Duration::from_secs(600);
const ANSWERED: Duration = Duration::from_secs(3600);

/// Addresses remembered at most; beyond it the whole memory is swept for old entries first.
const MAX_REMEMBERED: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Attempts {
    known: HashMap<SocketAddr, Known>,
}

#[derive(Debug, Default)]
struct Known {
    failures: Vec<Instant>,
    answered: Option<Instant>,
}

impl Attempts {
    pub(super) fn may_dial(&self, address: SocketAddr, now: Instant) -> bool {
        match self.known.get(&address) {
            Some(known) => known.has_answered(now) || known.recent_failures(now) < MAX_FAILURES,
            None => self.known.len() < MAX_REMEMBERED,
        }
    }

    pub(super) fn failed(&mut self, address: SocketAddr, now: Instant) {
        let known = self.entry(address, now);
        known.failures.retain(|time| is_within(WINDOW, *time, now));
        // As many as decide; what answers may fail for an hour.
        if known.failures.len() < MAX_FAILURES {
            known.failures.push(now);
        }
    }

    pub(super) fn succeeded(&mut self, address: SocketAddr, now: Instant) {
        *self.entry(address, now) = Known { failures: vec![], answered: Some(now) };
    }

    fn entry(&mut self, address: SocketAddr, now: Instant) -> &mut Known {
        if self.known.len() >= MAX_REMEMBERED {
            self.known.retain(|_, known| known.has_answered(now) || known.recent_failures(now) > 0);
        }
        self.known.entry(address).or_default()
    }
}

impl Known {
    fn has_answered(&self, now: Instant) -> bool {
        self.answered.is_some_and(|time| is_within(ANSWERED, time, now))
    }

    fn recent_failures(&self, now: Instant) -> usize {
        self.failures.iter().filter(|time| is_within(WINDOW, **time, now)).count()
    }
}

fn is_within(span: Duration, time: Instant, now: Instant) -> bool {
    now.saturating_duration_since(time) < span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_close_an_address_for_ten_minutes() {
        let (address, start) = ("127.0.0.1:6699".parse().unwrap(), Instant::now());
        let mut attempts = Attempts::default();
        for second in 0..3 {
            assert!(attempts.may_dial(address, start));
            attempts.failed(address, start + Duration::from_secs(second));
        }
        assert!(!attempts.may_dial(address, start + Duration::from_secs(599)));
        assert!(attempts.may_dial(address, start + Duration::from_secs(600)));
    }

    #[test]
    fn who_has_answered_may_be_dialled_for_an_hour_whatever_fails() {
        let (address, start) = ("127.0.0.1:6699".parse().unwrap(), Instant::now());
        let mut attempts = Attempts::default();
        (0..2).for_each(|_| attempts.failed(address, start));
        attempts.succeeded(address, start);
        (0..9).for_each(|_| attempts.failed(address, start + ANSWERED / 2));
        assert!(attempts.may_dial(address, start + ANSWERED / 2));
        (0..9).for_each(|_| attempts.failed(address, start + ANSWERED));
        assert!(!attempts.may_dial(address, start + ANSWERED));
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let now = Instant::now();
        let mut attempts = Attempts::default();
        let address = |number: usize| SocketAddr::from(([127, 0, 0, 1], number as u16));
        (0..MAX_REMEMBERED).for_each(|number| attempts.failed(address(number), now));
        assert!(!attempts.may_dial(address(MAX_REMEMBERED), now));
        attempts.failed(address(MAX_REMEMBERED), now + WINDOW);
        assert_eq!(attempts.known.len(), 1);
    }
}
