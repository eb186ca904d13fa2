//! One source, far away or slow: what the first byte and the last one wait for.

use std::time::Duration;

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
    let start = Instant::now();
    let mut again = world.begin(&[&sharer]);
    again.until(|status| status.bytes_done > 0).await;
    let first_leaf = start.elapsed();
    println!("the first leaf was here after {first_leaf:?}");
    assert!(first_leaf < round_trip + ms(5), "{first_leaf:?}");
    again.end().await;
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
