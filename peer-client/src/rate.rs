//! How fast bytes go lately.

use std::time::{Duration, Instant};

/// What lies three seconds back counts a third as much as now: people see changes, yet the number does not jump.
const MEMORY: Duration = Duration::from_secs(3);

/// The first piece says nothing about a rate; until this much time has passed the rate is that of this long.
const LEAST_SPAN: Duration = Duration::from_millis(250);

/// An exponentially fading average.
#[derive(Clone, Debug)]
pub struct Rate {
    started: Instant,
    updated: Instant,
    /// Bytes, each faded by its age.
    faded: f64,
}

impl Rate {
    pub const fn new(now: Instant) -> Self {
        Self { started: now, updated: now, faded: 0.0 }
    }

    pub fn add(&mut self, bytes: u64, now: Instant) {
        self.faded = self.faded_at(now) + bytes as f64;
        self.updated = now;
    }

    /// Bytes per second. The weights of a short past do not add up to a whole average, and this makes up for it.
    pub fn per_second(&self, now: Instant) -> f64 {
        let span = now.saturating_duration_since(self.started).max(LEAST_SPAN).as_secs_f64();
        let memory = MEMORY.as_secs_f64();
        self.faded_at(now) / (memory * (1.0 - (-span / memory).exp()))
    }

    fn faded_at(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.updated).as_secs_f64();
        self.faded * (-age / MEMORY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_has_its_rate_soon_and_a_stopped_one_fades() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        let at = |ms: u64| start + Duration::from_millis(ms);
        for tenth in 1..=100 {
            rate.add(100_000, at(tenth * 100));
            if tenth >= 5 {
                let measured = rate.per_second(at(tenth * 100));
                assert!((900_000.0..1_200_000.0).contains(&measured), "{measured} after {tenth} tenths");
            }
        }
        assert!(rate.per_second(at(40_000)) < 100.0);
    }
}
