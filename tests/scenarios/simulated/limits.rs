//! Limits and fairness: what a line carries, and who gets how much of it.

use std::sync::Arc;
use std::time::Duration;

use choir_peer::config::UploadRate;
use choir_peer::download::status::State;
use choir_peer::upload::Options;
use choir_peer::upload::queue::KeptAge;
use harness::internet::Line;
use harness::simulated::{Fetching, Peer, Song, options};
use tokio::time::{Instant, sleep};

use super::{SONG, World, ms, time_for};

const ROUND_TRIP: Duration = ms(50);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn limit(rate: &str) -> Options {
    Options { limit: rate.parse().unwrap(), ..Options::default() }
}

fn limited(world: &World, line: Line, limits: Options, ages: &[KeptAge]) -> Peer {
    Peer::limited_sharer(&world.internet.host(line), &world.song, options(), limits, ages)
}

fn reader(world: &World, line: Line) -> Arc<Peer> {
    Arc::new(Peer::downloader(&world.internet.host(line)))
}

/// What a sharer's line did for a while.
#[derive(Debug)]
struct Gauge {
    longest_wait: Duration,
    mean_wait: Duration,
    /// Of what the line carries.
    used: f64,
}

async fn gauge(sharer: &Peer, line: Line, span: Duration) -> Gauge {
    let (start, before) = (Instant::now(), sharer.host.counts().bytes);
    let mut waits = Vec::new();
    while start.elapsed() < span {
        sleep(ms(10)).await;
        waits.push(sharer.host.backlog());
    }
    let bytes = sharer.host.counts().bytes - before;
    Gauge {
        longest_wait: waits.iter().copied().max().unwrap_or_default(),
        mean_wait: waits.iter().sum::<Duration>() / waits.len() as u32,
        used: bytes as f64 / (line.up as f64 * start.elapsed().as_secs_f64()),
    }
}

/// Prints a table of docs/PERFORMANCE.md.
#[tokio::test(start_paused = true)]
async fn auto_fills_the_line_and_keeps_what_waits_before_it_short() {
    println!("| line | limit | used | waits, mean | waits, longest | longest at first |\n|---|---|---|---|---|---|");
    for (mbit, readers) in [(5, 1), (5, 3), (20, 2)] {
        for rate in ["unlimited", "auto"] {
            let world = World::with_song(mbit as usize * 10 * SONG / 10, ROUND_TRIP);
            let line = Line { buffer: seconds(1), ..world.line(mbit) };
            let sharer = limited(&world, line, limit(rate), &[]);
            let downloaders: Vec<_> = (0..readers).map(|_| reader(&world, world.line(100))).collect();
            let _fetching: Vec<_> =
                downloaders.iter().map(|peer| Fetching::begin(peer, &world.song, &[&sharer])).collect();
            let first = gauge(&sharer, line, seconds(6)).await;
            let steady = gauge(&sharer, line, seconds(8)).await;
            println!(
                "| {mbit} Mbit/s, {readers} readers | {rate} | {:.2} | {} ms | {} ms | {} ms |",
                steady.used,
                steady.mean_wait.as_millis(),
                steady.longest_wait.as_millis(),
                first.longest_wait.as_millis()
            );
            if rate == "auto" {
                assert!(steady.longest_wait < ms(110) && steady.mean_wait < ms(100), "{steady:?}");
                assert!(steady.used > 0.85, "{steady:?}");
            } else {
                assert!(steady.longest_wait > ms(150), "else there is nothing to give way to: {steady:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_slow_and_three_fast_readers_use_the_whole_limit() {
    let world = World::with_song(3 * SONG, ROUND_TRIP);
    let bytes_per_second = 2 << 20;
    let sharer = limited(&world, world.line(100), limit("2M"), &[]);
    let slow = Line { down: 30_000, buffer: seconds(1), ..world.line(1) };
    let lines = [slow, world.line(50), world.line(50), world.line(50)];
    let downloaders = lines.map(|line| reader(&world, line));
    let fetching = downloaders.each_ref().map(|peer| Fetching::begin(peer, &world.song, &[&sharer]));
    sleep(seconds(3)).await;
    let (start, before) = (Instant::now(), sharer.served());
    sleep(seconds(20)).await;
    let used = (sharer.served() - before) as f64 / f64::from(bytes_per_second) / start.elapsed().as_secs_f64();
    println!("one slow and three fast readers use {used:.3} of the limit");
    assert!((0.95..1.01).contains(&used), "{used}");
    let done = fetching.each_ref().map(|fetching| fetching.status().bytes_done);
    let [_, fast @ ..] = done;
    let (least, most) = (fast.into_iter().min().unwrap(), fast.into_iter().max().unwrap());
    assert!(most as f64 / (least as f64) < 1.15, "the fast ones get the same: {done:?}");
}

#[tokio::test(start_paused = true)]
async fn many_keys_of_one_network_get_together_what_one_peer_of_another_gets() {
    let world = World::with_song(SONG, ROUND_TRIP);
    let sharer = limited(&world, world.line(100), limit("1M"), &[]);
    let first = world.internet.host(world.line(50));
    let mut hosts: Vec<_> = (0..19).map(|_| world.internet.neighbour(&first, world.line(50))).collect();
    hosts.push(first);
    let crowd: Vec<_> = hosts.iter().map(|host| Arc::new(Peer::downloader(host))).collect();
    let _crowding: Vec<_> = crowd.iter().map(|peer| Fetching::begin(peer, &world.song, &[&sharer])).collect();
    sleep(seconds(3)).await;
    let honest = reader(&world, world.line(50));
    let mut fetching = Fetching::begin(&honest, &world.song, &[&sharer]);
    fetching.reaches(100_000).await;
    let (all, own) = (sharer.served(), fetching.status().bytes_done);
    sleep(seconds(10)).await;
    let share = (fetching.status().bytes_done - own) as f64 / (sharer.served() - all) as f64;
    println!("beside twenty keys of one network one peer gets {share:.2}");
    assert!((0.45..0.6).contains(&share), "{share}");
}

#[tokio::test(start_paused = true)]
async fn a_download_limit_holds_for_all_downloads_together() {
    let (bytes, rate) = (5_000_000, 500_000);
    let world = World::with_song(bytes, ROUND_TRIP);
    let other_song = Song::of(bytes + 1);
    let sources = [world.sharer(world.line(50)), world.sharer(world.line(50))];
    let other_source = Peer::sharer(&world.internet.host(world.line(50)), &other_song, options());
    let downloader = reader(&world, world.line(1000));
    downloader.throttle.set_limit(Some(rate));
    let one = Fetching::begin(&downloader, &world.song, &[&sources[0], &sources[1]]);
    let other = Fetching::begin(&downloader, &other_song, &[&other_source]);
    let done = || [one.status(), other.status()].map(|status| status.bytes_done);
    sleep(seconds(3)).await;
    let before = done();
    sleep(seconds(10)).await;
    let after = done();
    let got = [after[0] - before[0], after[1] - before[1]];
    assert!(got[0].abs_diff(got[1]) < got[0] / 8, "who has two sources gets as much as who has one: {got:?}");
    let (one, other) = tokio::join!(one.end(), other.end());
    let (time, ideal) = (one.time.max(other.time), Duration::from_secs(2 * bytes as u64 / rate));
    println!("two downloads under a limit took {time:?}, ideal {ideal:?}");
    assert!(time > ideal.mul_f64(0.95) && time < ideal.mul_f64(1.1), "{time:?}, ideal {ideal:?}");
    let sent: u64 = sources.iter().chain([&other_source]).map(|source| source.host.counts().bytes).sum();
    println!("{sent} bytes were sent for {}", 2 * bytes);
    assert!(sent < 2 * bytes as u64 * 6 / 5, "{sent} bytes were sent for {}", 2 * bytes);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_we_hold_back_is_not_taken_for_a_silent_one() {
    let (bytes, rate) = (1 << 17, 1000);
    let world = World::with_song(bytes, ROUND_TRIP);
    let sharer = world.sharer(world.line(50));
    let downloader = reader(&world, world.line(50));
    downloader.throttle.set_limit(Some(rate));
    let fetched = Fetching::begin(&downloader, &world.song, &[&sharer]).end().await;
    let ideal = Duration::from_secs(bytes as u64 / rate);
    assert!(fetched.time > ideal.mul_f64(0.95) && fetched.time < ideal.mul_f64(1.1), "{:?}", fetched.time);
    assert!(sharer.host.counts().bytes < bytes as u64 * 3 / 2, "{:?}", sharer.host.counts());
}

#[tokio::test(start_paused = true)]
async fn places_and_times_are_told_and_outlive_a_reconnect_and_a_restart_of_the_sharer() {
    let world = World::with_song(SONG / 2, ROUND_TRIP);
    let line = world.line(50);
    let limits = || Options { slots: 1, ..limit("1M") };
    let sharer = limited(&world, line, limits(), &[]);
    let host = sharer.host.clone();
    // Whoever waits longest is farthest, and so the last to come back.
    let served = reader(&world, world.line(50));
    let far = reader(&world, Line { delay: 10 * world.delay, ..world.line(50) });
    let near = reader(&world, world.line(50));
    let mut fetching = Vec::new();
    for peer in [&served, &far, &near] {
        fetching.push(Fetching::begin(peer, &world.song, &[&sharer]));
        sleep(seconds(1)).await;
    }
    let [first, second, third] = &mut fetching[..] else { panic!("three") };
    first.until(|status| status.state == State::Downloading).await;
    second.until(|status| status.ahead == Some(0) && status.eta_ms.is_some()).await;
    let told = third.until(|status| status.ahead == Some(1) && status.eta_ms.is_some()).await;
    assert!(told.message.is_some_and(|message| message.contains("1 ahead, about ")), "in words");

    // The connections are lost, all of them at once, and the program starts anew.
    let ages = sharer.uploads.as_ref().unwrap().ages();
    sharer.stop().await;
    second.until(|status| status.state != State::Queued).await;
    third.until(|status| status.state != State::Queued).await;
    let sharer = Peer::limited_sharer(&host, &world.song, options(), limits(), &ages);
    third.until(|status| status.ahead == Some(1)).await;
    second.until(|status| status.ahead == Some(0)).await;
    let Ok([first, second, third]) = <[Fetching; 3]>::try_from(fetching) else { panic!("three") };
    let end = async |fetching: Fetching| {
        fetching.end().await;
        Instant::now()
    };
    let ends = <[Instant; 3]>::from(tokio::join!(end(first), end(second), end(third)));
    assert!(ends.is_sorted(), "served in the order in which they came: {ends:?}");
    drop(sharer);
}

#[tokio::test(start_paused = true)]
async fn a_wide_line_is_found_out_within_seconds() {
    let world = World::with_song(8 * SONG, ROUND_TRIP);
    let (mbit, line) = (40, Line { buffer: seconds(1), ..world.line(40) });
    let sharer = limited(&world, line, limit("auto"), &[]);
    assert_eq!(sharer.uploads.as_ref().unwrap().limit(), UploadRate::Auto);
    let _fetching = Fetching::begin(&reader(&world, world.line(100)), &world.song, &[&sharer]);
    let start = Instant::now();
    loop {
        let Gauge { used, .. } = gauge(&sharer, line, seconds(1)).await;
        if used > 0.85 {
            break;
        }
        assert!(start.elapsed() < time_for(8 * SONG, mbit), "{used} after {:?}", start.elapsed());
    }
    println!("a line of {mbit} Mbit/s is full after {:?}", start.elapsed());
    assert!(start.elapsed() < seconds(12), "{:?}", start.elapsed());
}
