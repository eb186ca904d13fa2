//! Lines that lose packets, full ones and others.

use std::sync::Arc;
use std::time::Duration;

use choir_peer::config::Congestion;
use choir_peer::connectivity::EndpointOptions;
use harness::internet::Line;
use harness::simulated::{Fetching, Peer, options};

use super::{SONG, World, ms, time_for};

const MBIT: u64 = 100;
const ROUND_TRIP: Duration = ms(50);

/// Prints a table of docs/PERFORMANCE.md.
#[tokio::test(start_paused = true)]
async fn every_download_ends_whatever_is_lost() {
    println!("| lost | discerning | cubic | bbr |\n|---|---|---|---|");
    let mut discerning = Vec::new();
    for loss in [0.0, 0.001, 0.01, 0.1] {
        let mut row = Vec::new();
        for congestion in [Congestion::Discerning, Congestion::Cubic, Congestion::Bbr] {
            let world = World::with_song(SONG, ROUND_TRIP);
            let host = world.internet.host(Line { loss, ..world.line(MBIT) });
            let sharer = Peer::sharer(&host, &world.song, EndpointOptions { congestion, ..options() });
            let time = world.fetch(&[&sharer]).await.time;
            let counts = host.counts();
            let dropped = 100.0 * counts.no_room as f64 / counts.sent as f64;
            row.push(format!("{:.2} s, {dropped:.0} %", time.as_secs_f64()));
            if congestion == Congestion::Discerning {
                discerning.push(time);
            }
            assert_eq!(counts.lost > 0, loss > 0.0);
        }
        println!("| {:.1} % | {} |", 100.0 * loss, row.join(" | "));
    }
    let [without, one_in_a_thousand, one_in_a_hundred, _] = discerning[..] else { panic!("four") };
    assert!(one_in_a_thousand < without.mul_f64(1.5), "{discerning:?}");
    assert!(one_in_a_hundred < without * 4, "{discerning:?}");
}

#[tokio::test(start_paused = true)]
async fn packets_that_overtake_one_another_are_not_taken_for_lost() {
    let world = World::with_song(SONG, ROUND_TRIP);
    let sharer = world.sharer(Line { jitter: ms(1), ..world.line(MBIT) });
    let fetched = world.fetch(&[&sharer]).await;
    assert!(fetched.time < 2 * time_for(SONG, MBIT), "{:?}", fetched.time);
}

/// Prints a table of docs/PERFORMANCE.md.
#[tokio::test(start_paused = true)]
async fn on_a_full_line_everyone_gets_a_fair_part() {
    println!("| buffer | discerning against cubic | bbr against cubic |\n|---|---|---|");
    for buffer in [ms(5), ms(50), ms(200)] {
        let mut row = Vec::new();
        for congestion in [Congestion::Discerning, Congestion::Bbr] {
            let (part, dropped) = part_of_a_full_line(congestion, buffer).await;
            row.push(format!("{:.0} %, {:.0} % of it dropped", 100.0 * part, 100.0 * dropped));
            if congestion == Congestion::Discerning {
                assert!((0.35..0.65).contains(&part), "{part} with a buffer of {buffer:?}");
            }
        }
        println!("| {} ms | {} |", buffer.as_millis(), row.join(" | "));
    }
}

/// What a sender gets of a line that one with CUBIC fills as well, and how much of what it sends finds no room.
async fn part_of_a_full_line(congestion: Congestion, buffer: Duration) -> (f64, f64) {
    // Larger than what the line carries in the time.
    let world = World::with_song(5 * SONG, ROUND_TRIP);
    let narrow = Line { buffer, ..world.line(20) };
    let downloader = Arc::new(Peer::downloader(&world.internet.host(narrow)));
    let senders = [congestion, Congestion::Cubic].map(|congestion| {
        let host = world.internet.host(world.line(1000));
        Peer::sharer(&host, &world.song, EndpointOptions { congestion, ..options() })
    });
    let _downloads = senders.each_ref().map(|sender| Fetching::begin(&downloader, &world.song, &[sender]));
    tokio::time::sleep(Duration::from_secs(14)).await;
    let [counts, of_cubic] = senders.map(|sender| sender.host.counts());
    let part = counts.bytes as f64 / (counts.bytes + of_cubic.bytes) as f64;
    (part, counts.no_room as f64 / counts.sent as f64)
}
