//! Several sources at once, good and bad ones.

use std::collections::BTreeSet;
use std::time::Duration;

use choir_peer::download::fetch::{self, FetchEnd};
use choir_peer::session::SessionError;
use choir_peer::session::asking::Arrivals;
use choir_shared::wire::StreamCode;
use harness::internet::Line;
use harness::simulated::{Peer, options};

use super::{SONG, World, ms, time_for};

const MBIT: u64 = 25;
const ROUND_TRIP: Duration = ms(30);

/// A world with so many good sources.
fn world(bytes: usize, count: usize) -> (World, Vec<Peer>) {
    let world = World::with_song(bytes, ROUND_TRIP);
    let sources = (0..count).map(|_| world.sharer(world.line(MBIT))).collect();
    (world, sources)
}

/// From asking for the song to having it, counted in bytes of the song: the search, the handshakes, the slow start and
/// the headers of packets all come out of the twentieth. So it is a long one.
#[tokio::test(start_paused = true)]
async fn four_sources_give_what_their_lines_carry_together() {
    let bytes = 12 * SONG;
    let (world, sources) = world(bytes, 4);
    let fetched = world.fetch(&sources.iter().collect::<Vec<_>>()).await;
    let ideal = time_for(bytes, 4 * MBIT);
    println!("{:.4} of the sum", ideal.div_duration_f64(fetched.time));
    assert!(fetched.time < ideal.div_f64(0.95), "{:?}, ideal {ideal:?}", fetched.time);
}

#[tokio::test(start_paused = true)]
async fn one_that_stalls_and_one_that_lies_cost_little() {
    let (world, mut sources) = world(SONG, 3);
    let (liar, asked) = Peer::liar(&world.internet.host(world.line(MBIT)), &world.song);
    sources.insert(1, liar);
    let [good, liar, stalling, also_good] = &sources[..] else { panic!("four") };
    let mut fetching = world.begin(&[good, liar, stalling, also_good]);
    fetching.reaches(SONG as u64 / 2).await;
    world.internet.cut(&world.home, &stalling.host);
    let fetched = fetching.end().await;

    assert_eq!(fetched.liars, BTreeSet::from([liar.id]));
    // The start of the song, which was right, and one range.
    assert!(asked.tally().requests <= 2, "{:?}", asked.tally());
    // Three of them for the first half, then two.
    let ideal = time_for(SONG / 2, 3 * MBIT) + time_for(SONG / 2, 2 * MBIT);
    assert!(fetched.time < ideal.mul_f64(1.15), "{:?}, ideal {ideal:?}", fetched.time);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_read_its_file_says_so() {
    let world = World::with_song(SONG, ROUND_TRIP);
    let song = world.song.readable_until(SONG / 1000);
    let failing = Peer::sharer(&world.internet.host(world.line(MBIT)), &song, options());
    let session = world.downloader.connect(failing.id, failing.address()).await.unwrap();
    let opening = fetch::open(session, song.id, 1, Duration::from_secs(10), Arrivals::default()).await;
    let told = opening.err().unwrap();
    assert!(matches!(told, FetchEnd::Session(SessionError::Ended(Some(StreamCode::ReadFailed)))), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_source_cannot_read_comes_from_another() {
    let (world, mut sources) = world(SONG, 1);
    let song = world.song.readable_until(SONG / 2);
    sources.push(Peer::sharer(&world.internet.host(world.line(MBIT)), &song, options()));
    let [good, failing] = &sources[..] else { panic!("two") };
    let fetched = world.fetch(&[failing, good]).await;
    assert_eq!(fetched.liars, BTreeSet::new(), "nobody is to blame");
    assert!(fetched.bytes_from(good) >= SONG as u64 / 2);
    // No longer than from the good one alone.
    assert!(fetched.time < time_for(SONG, MBIT).mul_f64(1.25), "{:?}", fetched.time);
}

#[tokio::test(start_paused = true)]
async fn when_a_source_dies_the_others_go_on_without_a_pause() {
    let (world, sources) = world(2 * SONG, 3);
    let mut fetching = world.begin(&sources.iter().collect::<Vec<_>>());
    fetching.reaches(SONG as u64).await;
    world.internet.cut(&world.home, &sources[0].host);
    let fetched = fetching.end().await;
    assert!(fetched.longest_gap() < Duration::from_secs(1), "{:?}", fetched.progress);
}

#[tokio::test(start_paused = true)]
async fn a_very_slow_source_does_not_hold_up_the_fast_ones() {
    let mut times = Vec::new();
    for with_slow in [false, true] {
        let (world, mut sources) = world(SONG, 3);
        if with_slow {
            // Found first, so that it is asked for the start.
            let slow = world.sharer(Line { up: 10_000, buffer: Duration::from_secs(2), ..world.line(MBIT) });
            sources.insert(0, slow);
        }
        times.push(world.fetch(&sources.iter().collect::<Vec<_>>()).await.time);
    }
    let [without, with] = times[..] else { panic!("two") };
    assert!(with < without.mul_f64(1.05), "{with:?} with it, {without:?} without");
}
