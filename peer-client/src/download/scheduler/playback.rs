//! What a listener waits for.

use std::time::{Duration, Instant};

use choir_shared::leaf::{FileLength, LEAF_BYTES, LeafIndex, LeafRange};

/// What is due within this time is asked of whoever has it soonest; what comes later may come in any order.
const WINDOW: Duration = Duration::from_secs(5);

/// A song that is played while it downloads.
#[derive(Clone, Copy, Debug)]
pub struct Playback {
    /// The next leaf that the player will read.
    position: LeafIndex,
    at: Instant,
    leaves_per_second: f64,
}

impl Playback {
    /// From `position` on, at the song's mean rate.
    pub fn new(position: LeafIndex, bytes_per_second: f64, now: Instant) -> Self {
        let leaves_per_second = (bytes_per_second / f64::from(LEAF_BYTES)).max(f64::MIN_POSITIVE);
        Self { position, at: now, leaves_per_second }
    }

    /// When the player wants this leaf.
    pub(super) fn due(&self, leaf: u32) -> Instant {
        let ahead = f64::from(leaf.saturating_sub(self.position.number())) / self.leaves_per_second;
        // A song that stands still wants nothing; a century is as good as never.
        self.at + Duration::try_from_secs_f64(ahead).unwrap_or(NEVER).min(NEVER)
    }

    /// From the leaf that is wanted next to the last that is due within the window.
    pub(super) fn window(&self, length: FileLength, now: Instant) -> Option<LeafRange> {
        let ahead = (now.saturating_duration_since(self.at) + WINDOW).as_secs_f64() * self.leaves_per_second;
        let first = self.position.number();
        let count = (ahead as u32).saturating_add(1).min(length.leaf_count().saturating_sub(first));
        length.range(first, count)
    }
}

const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_moves_with_time_and_ends_with_the_song() {
        let length = FileLength::new(100 * u64::from(LEAF_BYTES)).unwrap();
        let start = Instant::now();
        let playback = Playback::new(length.leaf(10).unwrap(), 2.0 * f64::from(LEAF_BYTES), start);
        let window = |seconds| playback.window(length, start + Duration::from_secs(seconds)).unwrap();
        assert_eq!((window(0).first(), window(0).end()), (10, 21));
        assert_eq!((window(10).first(), window(10).end()), (10, 41), "what is late stays wanted");
        assert_eq!(window(1000).end(), 100);
        assert_eq!(playback.due(10), start);
        assert_eq!(playback.due(30), start + Duration::from_secs(10));
        assert_eq!(playback.due(3), start, "what was passed is not waited for");
    }

    #[test]
    fn a_song_that_stands_still_wants_one_leaf() {
        let length = FileLength::new(100 * u64::from(LEAF_BYTES)).unwrap();
        let now = Instant::now();
        let playback = Playback::new(length.leaf(99).unwrap(), 0.0, now);
        assert_eq!(playback.window(length, now).unwrap().count(), 1);
        assert!(playback.due(99) <= now);
        assert!(Playback::new(length.leaf(0).unwrap(), 0.0, now).due(99) > now + WINDOW);
    }
}
