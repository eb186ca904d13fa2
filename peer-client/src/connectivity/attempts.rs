//! Who may still be dialled: a pure memory of what failed lately.
//!
//! An address that failed [`MAX_FAILURES`] times within [`WINDOW`] is left alone until the first of these is old.
//! Without it a hostile index could make its members knock at one address again and again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const MAX_FAILURES: usize = 3;
const WINDOW: Duration = Duration::from_secs(600);

/// Addresses remembered at most; beyond it the whole memory is swept for old entries first.
const MAX_REMEMBERED: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Attempts {
    failures: HashMap<SocketAddr, Vec<Instant>>,
}

impl Attempts {
    pub(super) fn may_dial(&self, address: SocketAddr, now: Instant) -> bool {
        let recent =
            self.failures.get(&address).map_or(0, |times| times.iter().filter(|time| is_recent(**time, now)).count());
        recent < MAX_FAILURES && (self.failures.len() < MAX_REMEMBERED || self.failures.contains_key(&address))
    }

    pub(super) fn failed(&mut self, address: SocketAddr, now: Instant) {
        if self.failures.len() >= MAX_REMEMBERED {
            self.failures.retain(|_, times| times.iter().any(|time| is_recent(*time, now)));
        }
        let times = self.failures.entry(address).or_default();
        times.retain(|time| is_recent(*time, now));
        times.push(now);
    }

    pub(super) fn succeeded(&mut self, address: SocketAddr) {
        self.failures.remove(&address);
    }
}

fn is_recent(time: Instant, now: Instant) -> bool {
    now.saturating_duration_since(time) < WINDOW
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
    fn a_success_is_a_clean_slate() {
        let (address, now) = ("127.0.0.1:6699".parse().unwrap(), Instant::now());
        let mut attempts = Attempts::default();
        (0..2).for_each(|_| attempts.failed(address, now));
        attempts.succeeded(address);
        (0..2).for_each(|_| attempts.failed(address, now));
        assert!(attempts.may_dial(address, now));
    }
}
