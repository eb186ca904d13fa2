//! Every end of a transfer is killed at every moment, and nobody types anything.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use choir_shared::leaf::LEAF_BYTES;
use harness::peer::{Daemon, files_below};
use harness::{TestIndex, TestPeer, eventually, fixtures};

const SONG_BYTES: usize = 12_000_000;

/// Slow enough to be caught at each tenth, and fast enough to be soon there.
const PACE: (&str, &str) = ("CHOIR_UPLOAD_LIMIT", "8M");

/// What a kill may cost: batches that were read and not yet written, and what was on its way.
const MOST_FETCHED_TWICE: u64 = 2 << 20;

/// Half a second, as a rule; if an attempt ends before the sharer is back, the next begins a second later, and then
/// two. The rest is for a machine that is busy.
const MOST_UNTIL_SERVED: Duration = Duration::from_secs(10);

const TENTHS: std::ops::RangeInclusive<u64> = 0..=10;

/// A peer that is killed and comes back where it was.
struct Mortal {
    peer: TestPeer,
    address: SocketAddr,
    environment: Vec<(&'static str, &'static str)>,
    runs: Daemon,
}

impl Mortal {
    fn new(name: &str, index: &TestIndex, environment: &[(&'static str, &'static str)]) -> Self {
        let peer = TestPeer::new(name, index);
        let runs = peer.daemon_with_environment(environment);
        let address = peer.udp_address();
        Self { peer, address, environment: environment.to_vec(), runs }
    }

    fn restart(&mut self) {
        self.runs.process.kill();
        self.runs = self.peer.daemon_at(self.address, &self.environment);
    }

    fn fetched(&self) -> u64 {
        self.peer.json(["status"]).json()["downloaded_bytes"].as_u64().unwrap()
    }

    /// Bytes of `song` that are on its disk, whether finished or not.
    fn on_disk(&self, song: &[u8]) -> u64 {
        let holds_most = |path: &PathBuf| !path.to_string_lossy().contains(".layer");
        files_below(&self.peer.downloads()).iter().filter(|path| holds_most(path)).map(|path| good(path, song)).sum()
    }
}

/// Bytes in those leaves of a file that are as in `song`.
fn good(path: &Path, song: &[u8]) -> u64 {
    let Ok(file) = fs::File::open(path) else { return 0 };
    let mut found = vec![0; LEAF_BYTES as usize];
    let leaves = (0u64..).step_by(LEAF_BYTES as usize).zip(song.chunks(LEAF_BYTES as usize));
    leaves
        .filter(|(at, leaf)| file.read_exact_at(&mut found[..leaf.len()], *at).is_ok() && found[..leaf.len()] == **leaf)
        .map(|(_, leaf)| leaf.len() as u64)
        .sum()
}

/// Two peers, and a song on its way from one to the other.
fn under_way(artist: &str, seed: u64) -> (TestIndex, [Mortal; 2], Vec<u8>) {
    let index = TestIndex::start();
    let [sharer, guest] = [("sharer", &[PACE][..]), ("guest", &[])].map(|(name, pace)| Mortal::new(name, &index, pace));
    let song = fixtures::noise("Mortal", artist, SONG_BYTES, seed);
    sharer.peer.add_music("song.wav", &song);
    sharer.peer.share().expect_code(0);
    guest.peer.find(&["--artist", artist]);
    let mut get = guest.peer.begin_get("@1");
    guest.peer.download_when("it has begun", |_| true);
    get.kill();
    (index, [sharer, guest], song)
}

fn expect_the_song(guest: &Mortal, song: &[u8]) {
    guest.peer.download_when("it is done", |line| line["state"] == "done");
    let files = files_below(&guest.peer.downloads());
    assert_eq!(files.len(), 1, "once, and nothing beside it: {files:?}");
    assert!(fs::read(&files[0]).unwrap() == song, "the right bytes");
}

#[test]
fn a_downloader_that_is_killed_at_every_tenth_fetches_next_to_nothing_twice() {
    let (_index, [_sharer, mut guest], song) = under_way("Downloader", 50);
    let (mut before, mut worst, mut pauses) = (0, i64::MIN, Vec::new());
    for tenth in TENTHS {
        let wanted = SONG_BYTES as u64 * tenth / 10;
        eventually("so much is on the disk", || (guest.on_disk(&song) >= wanted).then_some(()));
        let fetched = guest.fetched();
        guest.runs.process.kill();
        let here = guest.on_disk(&song);
        let twice = fetched as i64 - (here - before) as i64;
        worst = worst.max(twice);
        before = here;

        let back = Instant::now();
        guest.restart();
        if here < SONG_BYTES as u64 {
            eventually("it goes on", || (guest.on_disk(&song) > here).then_some(()));
            pauses.push(back.elapsed());
        }
    }
    expect_the_song(&guest, &song);
    println!("fetched twice: at most {worst} bytes for one kill; went on after {pauses:.1?}");
    assert!(worst <= MOST_FETCHED_TWICE as i64, "{worst} bytes were fetched twice");
    let last = guest.fetched();
    assert!(last <= SONG_BYTES as u64 - before + MOST_FETCHED_TWICE, "{last} bytes for what was missing of {before}");
    assert!(pauses.iter().all(|pause| *pause < MOST_UNTIL_SERVED), "{pauses:?}");
}

#[test]
fn an_uploader_that_is_killed_at_every_tenth_is_asked_for_next_to_nothing_twice() {
    let (_index, [mut sharer, guest], song) = under_way("Uploader", 51);
    // What came since the last kill, and is not on the disk when nothing more can come.
    let mut before = (0, 0);
    let mut fetched_twice = || {
        let here = guest.on_disk(&song);
        let now = (guest.fetched(), here);
        let twice = (now.0 - before.0) as i64 - (now.1 - before.1) as i64;
        before = now;
        (twice, here)
    };
    let (mut costs, mut pauses) = (Vec::new(), Vec::new());
    for tenth in TENTHS {
        let wanted = SONG_BYTES as u64 * tenth / 10;
        eventually("so much is on the disk", || (guest.on_disk(&song) >= wanted).then_some(()));
        sharer.runs.process.kill();
        let (twice, here) = fetched_twice();
        costs.push(twice);
        let back = Instant::now();
        sharer.restart();
        if here < SONG_BYTES as u64 {
            eventually("it serves again", || (guest.on_disk(&song) > here).then_some(()));
            pauses.push(back.elapsed());
        }
    }
    expect_the_song(&guest, &song);
    costs.push(fetched_twice().0);
    println!("fetched twice, for each kill: {costs:?} bytes; served again after {pauses:.1?}");
    assert!(costs.iter().all(|twice| *twice <= MOST_FETCHED_TWICE as i64), "{costs:?} bytes were fetched twice");
    assert!(pauses.iter().all(|pause| *pause < MOST_UNTIL_SERVED), "{pauses:?}");
}

/// `CHOIR_RESTARTS` asks for more than a test run has time for, `CHOIR_SEED` for another order.
#[test]
fn whoever_is_restarted_at_random_every_file_finishes_by_itself() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let (restarts, seed) = (number("CHOIR_RESTARTS", 12), number("CHOIR_SEED", 7));
    println!("CHOIR_RESTARTS={restarts} CHOIR_SEED={seed}");
    // So slow that there is something under way all the time, were each restart to take several seconds. Some songs are
    // done early, some late.
    let pace = ("CHOIR_UPLOAD_LIMIT", "100K");
    let song_bytes = |number: u64| (100_000 + number * number * restarts * 15_000) as usize;

    let mut index = TestIndex::start();
    let mut peers = ["anna", "ben", "guest"].map(|name| Mortal::new(name, &index, &[pace]));
    let songs: BTreeMap<String, Vec<u8>> = (0..6)
        .map(|number| {
            (format!("{number}.wav"), fixtures::noise(&number.to_string(), "Undying", song_bytes(number), 60 + number))
        })
        .collect();
    for sharer in &peers[..2] {
        songs.iter().for_each(|(name, song)| drop(sharer.peer.add_music(name, song)));
        sharer.peer.share().expect_code(0);
    }
    eventually("all are listed", || {
        let rows = peers[2].peer.search(&["--artist", "undying"]);
        (rows.len() == songs.len() && rows.iter().all(|row| row["sources"] == 2)).then_some(())
    });
    let downloads =
        || peers[2].peer.json(["downloads", "ls"]).json()["downloads"].as_array().cloned().unwrap_or_default();
    let mut gets: Vec<_> = (1..=songs.len()).map(|number| peers[2].peer.begin_get(&format!("@{number}"))).collect();
    eventually("all have begun", || (downloads().len() == songs.len()).then_some(()));
    gets.iter_mut().for_each(|get| get.kill());

    let mut chance = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut killed = [0; 4];
    for _ in 0..restarts {
        chance ^= chance >> 12;
        chance ^= chance << 25;
        chance ^= chance >> 27;
        let random = chance.wrapping_mul(0x2545_f491_4f6c_dd1d);
        // A part of the story: whoever comes back is sometimes left in peace, and sometimes not.
        std::thread::sleep(Duration::from_millis(random >> 8 & 0x1ff));
        let whom = (random >> 32) as usize % killed.len();
        killed[whom] += 1;
        match peers.get_mut(whom) {
            Some(peer) => peer.restart(),
            None => index.restart(),
        }
    }
    let [_, _, guest] = &peers;
    let downloads = || guest.peer.json(["downloads", "ls"]).json()["downloads"].as_array().cloned().unwrap_or_default();
    let done = || downloads().iter().filter(|line| line["state"] == "done").count();
    println!("anna, ben, guest and index were killed {killed:?} times; done by then: {} of {}", done(), songs.len());
    assert!(done() < songs.len(), "something was under way all the time");

    for sharer in &peers[..2] {
        assert_eq!(sharer.peer.run(["uploads", "limit", "unlimited"]).code, 0);
    }
    let begun = Instant::now();
    eventually("all are done", || (done() == songs.len()).then_some(()));
    println!("all were done {:?} later", begun.elapsed());
    let files = files_below(&guest.peer.downloads());
    let names = files.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    assert!(names.eq(songs.keys().cloned()), "each once, and nothing beside them: {files:?}");
    for (path, song) in files.iter().zip(songs.values()) {
        assert!(fs::read(path).unwrap() == *song, "{path:?} has the right bytes");
    }
}
