//! How long to wait before trying again.
//!
//! The wait doubles with each failure up to a ceiling, and is drawn evenly from nothing to that ("full jitter", which
//! AWS's Marc Brooker measured to load a recovering server least): ten thousand peers that lost their index in the
//! same second must not come back in the same second.

use std::time::Duration;

/// The widest first wait: a restart of a small index takes less.
const FIRST: Duration = Duration::from_millis(500);

/// The widest wait of all: a minute is what people accept before an index that is back shows as online.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after another failure; `random` is drawn evenly from all of `u32`.
    pub(crate) fn wait(&mut self, random: u32) -> Duration {
        let widest = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        fraction(widest, random)
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// `random` spread over `whole`.
pub(crate) fn fraction(whole: Duration, random: u32) -> Duration {
    whole.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// 32 random bits; the middle if the system has none, which costs nothing but the spread.
pub(crate) fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_after_success() {
        let mut backoff = Backoff::default();
        let widest: Vec<_> = (0..9).map(|_| backoff.wait(u32::MAX).as_millis()).collect();
        assert_eq!(widest, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
        assert_eq!(backoff.wait(0), Duration::ZERO);
        backoff.failures = u32::MAX;
        assert_eq!(backoff.wait(u32::MAX / 2).as_secs(), 29);
        backoff.reset();
        assert_eq!(backoff.wait(u32::MAX), FIRST);
    }
}
