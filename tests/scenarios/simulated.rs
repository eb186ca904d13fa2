//! The wide internet, in memory and on a paused clock: seconds of theirs take milliseconds of ours, and none of their
//! milliseconds depends on our machine. With `CHOIR_SEED` one tries another day.

mod limits;
mod losses;
mod many_sources;
mod one_source;
mod routers;
mod swarm;

use std::sync::Arc;
use std::time::Duration;

use harness::internet::{Host, Internet, Line};
use harness::simulated::{Fetched, Fetching, Peer, Song, options};

/// A song of some four minutes, well encoded.
const SONG: usize = 10_000_000;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// How long so many bytes take at so many Mbit/s.
fn time_for(bytes: usize, mbit: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 * 8.0 / (mbit as f64 * 1e6))
}

/// A downloader whose own line is never the narrow place, and who is as far from everyone.
struct World {
    internet: Internet,
    song: Arc<Song>,
    home: Host,
    downloader: Arc<Peer>,
    /// Of each line; a round trip passes two lines twice.
    delay: Duration,
}

impl World {
    fn with_song(bytes: usize, round_trip: Duration) -> Self {
        let (internet, delay) = (Internet::begin(), round_trip / 4);
        let home = internet.host(Line::of_mbit(1000, delay));
        let downloader = Arc::new(Peer::downloader(&home));
        Self { internet, song: Song::of(bytes), home, downloader, delay }
    }

    fn line(&self, mbit: u64) -> Line {
        Line::of_mbit(mbit, self.delay)
    }

    fn sharer(&self, line: Line) -> Peer {
        Peer::sharer(&self.internet.host(line), &self.song, options())
    }

    fn begin(&self, sources: &[&Peer]) -> Fetching {
        Fetching::begin(&self.downloader, &self.song, sources)
    }

    async fn fetch(&self, sources: &[&Peer]) -> Fetched {
        self.begin(sources).end().await
    }
}
