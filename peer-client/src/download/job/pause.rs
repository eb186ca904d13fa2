//! How long a download waits before it tries again by itself. Pure.
//!
//! A download may wait for days, so each time that nothing came of an attempt the next pause is twice as long: an
//! attempt reads what is here of the file and asks every index. Whoever waits for a source is told of one by the
//! indexes ([`Downloads::available`](crate::download::list::Downloads::available)), and whoever waits for an index
//! hears when it is back, so that these pauses only catch what was forgotten.

use std::time::Duration;

use crate::download::status::Why;

/// Indexes tell of sources; between their forgetting and our asking may be up to an hour.
const FOR_A_SOURCE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// For what nobody tells of: a peer that is listed and out of reach, or has nothing yet, or changes its mind. A sharer
/// that was restarted is back within seconds.
const FOR_ANYTHING_ELSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// The pauses of one download.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// Why the last attempt ended, and what was here of the file then.
    last: Option<(Why, u64)>,
    in_vain: u32,
}

impl Pauses {
    /// The pause after an attempt that ended for this reason, with so many sources known and so many bytes here.
    pub(super) fn next(&mut self, why: Why, sources: usize, bytes_done: u64) -> Duration {
        let now = Some((why, bytes_done));
        self.in_vain = if self.last == now { self.in_vain.saturating_add(1) } else { 0 };
        self.last = now;
        let is_told = (why == Why::NoSources && sources == 0) || why == Why::QueuedAtSources;
        let (first, longest) = if is_told { FOR_A_SOURCE } else { FOR_ANYTHING_ELSE };
        first.saturating_mul(1 << self.in_vain.min(16)).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_nothing_happens() {
        let mut pauses = Pauses::default();
        let mut next = |why, bytes| pauses.next(why, 0, bytes).as_secs();
        assert_eq!([0; 8].map(|bytes| next(Why::NoSources, bytes)), [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(next(Why::NoSources, 1), 60, "something came");
        let unreachable = [1; 10].map(|bytes| next(Why::PeersUnreachable, bytes));
        assert_eq!(unreachable, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(next(Why::NoSources, 1), 60, "it is something else");
        assert!((0..100).all(|_| next(Why::NoSources, 1) <= 3600));
        let restarting = [1; 4].map(|sources| pauses.next(Why::NoSources, sources, 2).as_secs());
        assert_eq!(restarting, [1, 2, 4, 8], "somebody is listed, and may soon have it again");
    }
}
