//! So many of something for one peer, and one more every so often.

use std::time::{Duration, Instant};

/// A small budget that fills up again by itself.
#[derive(Clone, Debug)]
pub struct Allowance {
    most: u32,
    one_more_every: Duration,
    /// When everything spent will have come back.
    full_at: Instant,
}

impl Allowance {
    pub const fn new(most: u32, one_more_every: Duration, now: Instant) -> Self {
        Self { most, one_more_every, full_at: now }
    }

    pub fn has_some(&self, now: Instant) -> bool {
        self.full_at.saturating_duration_since(now) + self.one_more_every <= self.one_more_every * self.most
    }

    /// Takes one, if one is left.
    pub fn spend(&mut self, now: Instant) -> bool {
        let granted = self.has_some(now);
        if granted {
            self.full_at = self.full_at.max(now) + self.one_more_every;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_comes_back_one_by_one_and_never_more_than_all() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut allowance = Allowance::new(3, second, start);
        let mut spend_all = |now| (0..10).filter(|_| allowance.spend(now)).count();
        assert_eq!(spend_all(start), 3);
        assert_eq!(spend_all(start + second / 2), 0);
        assert_eq!(spend_all(start + second), 1);
        assert_eq!(spend_all(start + 100 * second), 3);
    }
}
