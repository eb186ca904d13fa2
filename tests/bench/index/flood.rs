//! One key, then one network of many keys, publishes a million fake songs and searches ten thousand times a second,
//! with the limits that an index has by default; and what others notice of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::load::corpus::Corpus;
use harness::load::peer::{CrowdPeer, Holding};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::crowd::{self, Detail, Publisher, SET};
use crate::http::{Online, libraries};
use crate::measure::{grouped, median};
use crate::searching::{Outcome, Pace, paths, search};
use crate::server::{PROXY, Server};

/// They search at a fifth of what their keys allow.
const HONEST: u32 = 100;
const HONEST_RATE: f64 = 100.0;

const LIBRARY: u32 = 5_000;

const FLOOD_RATE: f64 = 10_000.0;
const FLOOD_SONGS: u32 = 1_000_000;
const FLOOD_CONNECTIONS: usize = 64;

/// Keys of the network that floods.
const KEYS: u32 = 200;

/// So many of them publish as well.
const PUBLISHERS: usize = 4;

/// Fake sets of each publisher: more than a key may send in the minutes that this takes.
const FAKE_SETS: usize = 200;

#[derive(Debug, Default)]
struct Flooded {
    searches: AtomicU64,
    searches_refused: AtomicU64,
    sets: AtomicU64,
    sets_refused: AtomicU64,
    broken: AtomicU64,
}

pub(crate) fn measure(songs: u32, rounds: usize, seconds: u32) -> anyhow::Result<String> {
    let server = Server::start("[limits]\nfiles_per_peer = 250000\n")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // The flood has a thread of its own, or the others would wait for it before they have asked.
    let flooding = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let corpus = Corpus::new(songs);
        let libraries = libraries(&corpus, LIBRARY);
        let peers = crowd::members(server.door(), 0..libraries.len() as u32).await?;
        let publishers = Publisher::all(peers, &corpus, &libraries, Detail::Claims)?;
        let peers: Vec<_> = crowd::publish(publishers).await?.0.into_iter().map(Arc::new).collect();
        let _online = Online::of(&peers).await?;
        let honest: Vec<_> =
            crowd::members(server.door(), 1_000_000..1_000_000 + HONEST).await?.into_iter().map(Arc::new).collect();
        let paths = paths(&corpus, 20_000, 29);
        let lasting = Duration::from_secs_f64(f64::from(seconds) / 6.0);
        let pace = Pace::PerSecond(HONEST_RATE);

        let mut outcomes: [Vec<Outcome>; 3] = Default::default();
        let floods =
            [flooders(&server, 2_000_000..2_000_001).await?, flooders(&server, 3_000_000..3_000_000 + KEYS).await?];
        let counts = [Flooded::default(), Flooded::default()].map(Arc::new);
        let mut flooding_seconds = [0.0; 2];
        search(&honest, &paths, pace, lasting).await?;
        for _ in 0..rounds {
            outcomes[0].push(search(&honest, &paths, pace, lasting).await?);
            for (which, flooders) in floods.iter().enumerate() {
                let (stop, begun) = (CancellationToken::new(), Instant::now());
                let tasks = flood(flooders, &paths, &counts[which], &stop, flooding.handle());
                outcomes[which + 1].push(search(&honest, &paths, pace, lasting).await?);
                stop.cancel();
                flooding_seconds[which] += begun.elapsed().as_secs_f64();
                tasks.join_all().await;
                // The network's allowance is for it to refill, not for the honest to wait.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Ok(table(&outcomes, &counts, flooding_seconds))
    })
}

/// A key that floods.
#[derive(Clone)]
struct Flooder {
    peer: Arc<CrowdPeer>,
    /// The change sets that it sends, if it does. Each is of use only behind the one before.
    sets: Arc<Vec<Vec<u8>>>,
    taken: Arc<AtomicUsize>,
}

/// Keys that come through the proxy, all from one network.
async fn flooders(server: &Server, numbers: std::ops::Range<u32>) -> anyhow::Result<Vec<Flooder>> {
    let proxy: IpAddr = PROXY.parse()?;
    let mut peers: Vec<CrowdPeer> = numbers.map(|number| CrowdPeer::new(number, server.door(), proxy)).collect();
    // They log in from elsewhere, for a network may log in no more than 600 times a minute.
    peers = crowd::log_in(peers).await?;
    for (place, peer) in peers.iter_mut().enumerate() {
        peer.forwarded_for = Some([203, 0, 113, (place % 250) as u8].into());
    }
    let sets = |place| if place < PUBLISHERS { fakes(&peers[place]) } else { Ok(Vec::new()) };
    let sets: Vec<_> = (0..peers.len()).map(sets).collect::<Result<_, _>>()?;
    let flooder = |(peer, sets)| Flooder { peer: Arc::new(peer), sets: Arc::new(sets), taken: Arc::default() };
    Ok(peers.into_iter().zip(sets).map(flooder).collect())
}

fn flood(
    flooders: &[Flooder],
    paths: &Arc<Vec<String>>,
    counts: &Arc<Flooded>,
    stop: &CancellationToken,
    threads: &Handle,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let apart = Duration::from_secs_f64(FLOOD_CONNECTIONS as f64 / FLOOD_RATE);
    for lane in 0..FLOOD_CONNECTIONS {
        let (peer, paths) = (Arc::clone(&flooders[lane % flooders.len()].peer), Arc::clone(paths));
        let (counts, stop) = (Arc::clone(counts), stop.clone());
        let searching = async move {
            let Ok(mut connection) = peer.connect().await else { return };
            let mut due = Instant::now();
            for turn in 0.. {
                if stop.run_until_cancelled(tokio::time::sleep_until(due.into())).await.is_none() {
                    return;
                }
                due += apart;
                let path = &paths[(turn * FLOOD_CONNECTIONS + lane) % paths.len()];
                match peer.search(&mut connection, path).await {
                    Ok(answer) => count(&counts.searches, &counts.searches_refused, answer.status),
                    Err(_) => {
                        counts.broken.fetch_add(1, Ordering::Relaxed);
                        match peer.connect().await {
                            Ok(again) => connection = again,
                            Err(_) => return,
                        }
                    }
                }
            }
        };
        tasks.spawn_on(searching, threads);
    }
    for flooder in flooders.iter().filter(|flooder| !flooder.sets.is_empty()) {
        let Flooder { peer, sets, taken } = flooder.clone();
        let (counts, stop) = (Arc::clone(counts), stop.clone());
        let publishing = async move {
            let Ok(mut connection) = peer.connect().await else { return };
            while let Some(set) = sets.get(taken.load(Ordering::Relaxed)).filter(|_| !stop.is_cancelled()) {
                let Ok(answer) = peer.offer(&mut connection, set).await else { return };
                count(&counts.sets, &counts.sets_refused, answer.status);
                if answer.status == 200 {
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        tasks.spawn_on(publishing, threads);
    }
    tasks
}

fn count(all: &AtomicU64, refused: &AtomicU64, status: u16) {
    all.fetch_add(1, Ordering::Relaxed);
    if status == 429 {
        refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// Songs that there are not.
fn fakes(peer: &CrowdPeer) -> std::io::Result<Vec<Vec<u8>>> {
    let corpus = Corpus::new(FLOOD_SONGS);
    let mut twin = peer.twin();
    let holding = |rank| Holding::new(corpus.file(FLOOD_SONGS * 3 + rank), corpus.claim(rank));
    (0..FAKE_SETS as u32)
        .map(|set| twin.add((0..SET as u32).map(|at| holding(set * SET as u32 + at)).collect()))
        .collect()
}

fn table(outcomes: &[Vec<Outcome>; 3], counts: &[Arc<Flooded>; 2], seconds: [f64; 2]) -> String {
    let mut text = "| | others' searches/s | p50 ms | p99 ms | refused | flood: searches/s | refused with 429 | change sets | refused with 429 | connections broken |\n|---|---|---|---|---|---|---|---|---|---|\n".to_owned();
    let names = ["quiet", "one key floods", "one network of 200 keys floods"];
    for (place, (name, outcomes)) in names.iter().zip(outcomes).enumerate() {
        let of = |figure: &dyn Fn(&Outcome) -> f64| median(outcomes.iter().map(figure));
        text += &format!(
            "| {name} | {} | {:.1} | {:.1} | {} |",
            grouped(of(&Outcome::per_second)),
            of(&|outcome| outcome.latencies.percentile(50.0)),
            of(&|outcome| outcome.latencies.percentile(99.0)),
            outcomes.iter().map(|outcome| outcome.refused).sum::<u64>()
        );
        let Some((counts, seconds)) = place.checked_sub(1).map(|flood| (&counts[flood], seconds[flood])) else {
            text += " | | | | |\n";
            continue;
        };
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
        text += &format!(
            " {} | {:.1} % | {} | {:.1} % | {} |\n",
            grouped(of(&counts.searches) / seconds),
            of(&counts.searches_refused) / of(&counts.searches) * 100.0,
            grouped(of(&counts.sets)),
            of(&counts.sets_refused) / f64::max(of(&counts.sets), 1.0) * 100.0,
            of(&counts.broken)
        );
    }
    text
}
