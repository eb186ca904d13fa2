//! Many who want the same song from the one who has it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use harness::internet::Line;
use harness::simulated::{Fetching, Peer};

use super::{SONG, World, ms, time_for};

/// Of every uplink; towards homes lines are faster.
const UP_MBIT: u64 = 25;
const DOWN_MBIT: u64 = 100;

struct Swarm {
    /// Until the last of them had the song.
    time: Duration,
    /// How many times the song left the one who has it.
    of_seed: f64,
}

async fn swarm(downloaders: usize) -> Swarm {
    let world = World::with_song(SONG, ms(30));
    let line = || Line { down: DOWN_MBIT * 125_000, ..world.line(UP_MBIT) };
    let seed = world.sharer(line());
    let members: Vec<_> =
        (0..downloaders).map(|_| Arc::new(Peer::member(&world.internet.host(line()), &world.song))).collect();
    let others = |member: &Arc<Peer>| {
        let others = members.iter().filter(|other| other.id != member.id).map(|other| &**other);
        [&seed].into_iter().chain(others).collect::<Vec<_>>()
    };
    let downloads: Vec<_> =
        members.iter().map(|member| Fetching::begin(member, &world.song, &others(member))).collect();
    let mut fetched = Vec::new();
    for download in downloads {
        fetched.push(download.end().await);
    }
    let time = fetched.iter().map(|fetched| fetched.time).max().unwrap_or_default();
    let of_seed: u64 = fetched.iter().map(|fetched| fetched.bytes_from(&seed)).sum();
    Swarm { time, of_seed: of_seed as f64 / SONG as f64 }
}

#[tokio::test(start_paused = true)]
async fn who_also_fetches_the_song_is_found_by_the_word_of_its_source_alone() {
    let world = World::with_song(SONG, ms(30));
    let seed = world.sharer(world.line(UP_MBIT));
    let [early, late] =
        [(); 2].map(|()| Arc::new(Peer::member(&world.internet.host(world.line(DOWN_MBIT)), &world.song)));
    let mut first = Fetching::begin(&early, &world.song, &[&seed]);
    first.reaches(SONG as u64 / 4).await;
    let fetched = Fetching::begin_among(&late, &world.song, &[&seed], &[&early]).end().await;
    first.end().await;
    assert!(fetched.bytes_from(&early) > SONG as u64 / 10, "{:?}", fetched.status.sources);
}

/// All rows of the table, or those that decide.
fn sizes() -> Vec<usize> {
    if std::env::var_os("CHOIR_WHOLE_TABLES").is_some() { vec![1, 2, 4, 8, 10, 16] } else { vec![1, 10] }
}

/// Prints a table of docs/PERFORMANCE.md, all of it with `CHOIR_WHOLE_TABLES=1`.
#[tokio::test(start_paused = true)]
async fn ten_who_fetch_together_take_little_longer_than_one() {
    println!("| downloaders | seconds | × one | MB/s, all together | the song left the seed, times |");
    println!("|---|---|---|---|---|");
    let mut times = BTreeMap::new();
    for downloaders in sizes() {
        let Swarm { time, of_seed } = swarm(downloaders).await;
        times.insert(downloaders, time);
        let (seconds, ratio) = (time.as_secs_f64(), time.div_duration_f64(times[&1]));
        let rate = (downloaders * SONG) as f64 / 1e6 / seconds;
        println!("| {downloaders} | {seconds:.2} | {ratio:.2} | {rate:.1} | {of_seed:.2} |");
    }
    let (one, ten) = (times[&1], times[&10]);
    assert!(one < time_for(SONG, UP_MBIT).mul_f64(1.25), "{one:?}");
    assert!(ten <= 2 * one, "ten take {ten:?}, one {one:?}");
}
