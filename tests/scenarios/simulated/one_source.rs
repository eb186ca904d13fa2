//! One source, far away or slow: what the first byte and the last one wait for.

use std::time::Duration;

use choir_peer::download::fetch;
use choir_peer::session::asking::Arrivals;
use harness::internet::Line;
use tokio::time::Instant;

use super::{SONG, World, ms, time_for};

#[tokio::test(start_paused = true)]
async fn a_song_takes_little_longer_than_its_bytes_and_four_round_trips() {
    let (mbit, round_trip) = (100, ms(50));
    let world = World::with_song(SONG, round_trip);
    let sharer = world.sharer(world.line(mbit));
    let fetched = world.fetch(&[&sharer]).await;
    let ideal = time_for(SONG, mbit) + 4 * round_trip;
    assert!(fetched.time < ideal.mul_f64(1.25), "{:?}, ideal {ideal:?}", fetched.time);
}

#[tokio::test(start_paused = true)]
async fn on_a_warm_connection_the_first_leaf_is_one_round_trip_away() {
    let round_trip = ms(50);
    let world = World::with_song(SONG, round_trip);
    let sharer = world.sharer(world.line(100));
    world.fetch(&[&sharer]).await;
    let session = world.downloader.connect(sharer.id, sharer.address()).await.unwrap();
    let start = Instant::now();
    let begun = fetch::start(session, world.song.id, 1, Duration::from_secs(1), Arrivals::default()).await.unwrap();
    let (_, first_leaf) = begun.first.unwrap();
    assert_eq!(first_leaf, world.song.bytes[..first_leaf.len()]);
    assert!(start.elapsed() < round_trip + ms(5), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_needs_seconds_for_a_leaf_is_waited_for() {
    let (bytes, rate) = (200_000, 5_000);
    let world = World::with_song(bytes, ms(50));
    let buffer = Duration::from_secs(2);
    let sharer = world.sharer(Line { up: rate, buffer, ..world.line(10) });
    let fetched = world.fetch(&[&sharer]).await;
    let ideal = Duration::from_secs(bytes as u64 / rate);
    // The buffer holds less than is sent at first, so the beginning is lost; and one packet in twelve is its headers.
    assert!(fetched.time < ideal.mul_f64(1.25), "{:?}, ideal {ideal:?}", fetched.time);
}
