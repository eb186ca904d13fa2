//! Very many who are online and say nothing, and what happens when the index dies.

use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use harness::load::Chance;
use harness::load::corpus::Corpus;
use harness::load::peer::{CrowdPeer, Door};
use harness::process::Process;
use tokio::sync::Semaphore;

use crate::crowd::{self, Detail, Publisher};
use crate::measure::grouped;
use crate::server::{Server, UNLIMITED};

/// Connections of one process: far below the 20,000 files that it may have open.
const OF_ONE_PROCESS: u32 = 6_000;

/// Files of each.
const LIBRARY: u32 = 10;

/// Different files that there are.
const SONGS: u32 = 2_000;

/// How many connect at the same time when the crowd is built up.
const AT_ONCE: usize = 32;

/// As the real client waits after a crash: `Backoff` of its `index_client`.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A crowd that takes longer to come has got stuck.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Args)]
pub(crate) struct Hold {
    #[arg(long)]
    index: std::net::SocketAddr,
    #[arg(long)]
    key: String,
    #[arg(long)]
    from: IpAddr,
    #[arg(long)]
    first: u32,
    #[arg(long)]
    count: u32,
}

/// What a process that holds connections counts.
#[derive(Debug, Default)]
struct Counts {
    online: AtomicU64,
    /// How often the index wanted a library again.
    resyncs: AtomicU64,
    /// Attempts to come online that failed.
    failures: AtomicU64,
}

/// The other program: stays online with many peers, and says how many are, until it is killed.
pub(crate) fn hold(options: &Hold) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let door = Door { address: options.index, key: options.key.parse()? };
    let (counts, turns) = (Arc::new(Counts::default()), Arc::new(Semaphore::new(AT_ONCE)));
    runtime.block_on(async {
        for number in options.first..options.first + options.count {
            let peer = CrowdPeer::new(number, door, options.from);
            tokio::spawn(stay(peer, number, Arc::clone(&counts), Arc::clone(&turns)));
        }
        loop {
            let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
            println!("{} {} {}", of(&counts.online), of(&counts.resyncs), of(&counts.failures));
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    })
}

async fn stay(mut peer: CrowdPeer, number: u32, counts: Arc<Counts>, turns: Arc<Semaphore>) {
    let mut chance = Chance::new(17, number.into());
    let mut widest = FIRST_WAIT;
    // Made once, for its sum; what it packs was published before.
    let library = library(number);
    let _ = Publisher::shared(&mut peer, &Corpus::new(SONGS), &library, Detail::Hashes);
    loop {
        let came = async {
            if peer.token.is_empty() {
                let _turn = turns.acquire().await;
                let mut connection = peer.connect().await?;
                peer.log_in(&mut connection).await?;
            }
            peer.come_online().await
        };
        match came.await {
            Ok((mut control, resync)) => {
                counts.resyncs.fetch_add(resync.len() as u64, Ordering::Relaxed);
                counts.online.fetch_add(1, Ordering::Relaxed);
                widest = FIRST_WAIT;
                while control.hear().await.is_ok_and(|heard| heard != harness::load::wire::Heard::Closed) {}
                counts.online.fetch_sub(1, Ordering::Relaxed);
            }
            Err(_) => drop(counts.failures.fetch_add(1, Ordering::Relaxed)),
        }
        tokio::time::sleep(widest.mul_f64(chance.fraction())).await;
        widest = (widest * 2).min(LONGEST_WAIT);
    }
}

fn library(number: u32) -> Vec<u32> {
    (0..LIBRARY).map(|place| (number.wrapping_mul(7_919) + place * 101) % SONGS).collect()
}

pub(crate) fn measure(connections: &[u32], seconds: u32) -> anyhow::Result<String> {
    let mut server = Server::start(UNLIMITED)?;
    let most = connections.iter().copied().max().unwrap_or(0);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(prepare(&server, most))?;
    // What publishing has used is freed, as far as it ever is, and merges have ended.
    std::thread::sleep(Duration::from_secs(5));
    let alone = server.resident();

    let mut text = "| connections | index, MiB resident | KiB each | a core, % |\n|---|---|---|---|\n".to_owned();
    let (mut holders, mut held, mut points) = (Vec::new(), 0, Vec::new());
    for count in connections {
        while held < *count {
            let more = OF_ONE_PROCESS.min(count - held);
            holders.push(start(&server, held, more, holders.len())?);
            held += more;
        }
        wait(&holders, held)?;
        std::thread::sleep(Duration::from_secs(5));
        let (begun, cpu) = (Instant::now(), server.cpu_seconds());
        std::thread::sleep(Duration::from_secs(seconds.into()));
        let share = (server.cpu_seconds() - cpu) / begun.elapsed().as_secs_f64() * 100.0;
        let bytes = server.resident().saturating_sub(alone);
        points.push((f64::from(held), bytes as f64, share));
        text += &format!(
            "| {} | {} | {:.1} | {share:.1} |\n",
            grouped(held.into()),
            server.resident() >> 20,
            bytes as f64 / f64::from(held) / 1024.0
        );
    }
    for count in [50_000.0, 100_000.0] {
        let (bytes, share) = (line(&points, |point| point.1, count), line(&points, |point| point.2, count));
        text += &format!(
            "| {}, **extrapolated** by a straight line | {:.0} | {:.1} | {share:.1} |\n",
            grouped(count),
            (alone as f64 + bytes) / f64::from(1 << 20),
            bytes / count / 1024.0
        );
    }
    text += &restart(&mut server, &holders, held)?;
    Ok(text)
}

/// Everybody is a member and has published.
async fn prepare(server: &Server, count: u32) -> anyhow::Result<()> {
    let corpus = Corpus::new(SONGS);
    let peers = crowd::members(server.door(), 0..count).await?;
    let libraries: Vec<Vec<u32>> = (0..count).map(library).collect();
    crowd::publish(Publisher::all(peers, &corpus, &libraries, Detail::Claims)?).await?;
    Ok(())
}

fn start(server: &Server, first: u32, count: u32, number: usize) -> anyhow::Result<Process> {
    let door = server.door();
    let mut command = Command::new(std::env::current_exe()?);
    let from = crowd::address(number as u32);
    command.args(["hold", "--index", &door.address.to_string(), "--key", &door.key.to_string()]);
    command.args(["--from", &from.to_string(), "--first", &first.to_string(), "--count", &count.to_string()]);
    Ok(Process::start("bench-index hold", &mut command))
}

/// The newest word of all holders together: online, resyncs, failures.
fn counts(holders: &[Process]) -> [u64; 3] {
    let mut sum = [0; 3];
    for holder in holders {
        let line = holder.last_line();
        let numbers = line.split(' ').filter_map(|number| number.parse::<u64>().ok());
        sum.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
    }
    sum
}

fn wait(holders: &[Process], count: u32) -> anyhow::Result<()> {
    let begun = Instant::now();
    while counts(holders)[0] < count.into() {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "only {} of {count} came", counts(holders)[0]);
    }
    Ok(())
}

/// Killed and started again: how long until it answers, and until everybody is back.
fn restart(server: &mut Server, holders: &[Process], count: u32) -> anyhow::Result<String> {
    let [_, resyncs, failures] = counts(holders);
    let begun = Instant::now();
    server.index.restart();
    while !server.is_ready() {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "the index does not get ready");
        std::thread::sleep(Duration::from_millis(20));
    }
    let ready = begun.elapsed().as_secs_f64();
    let (mut half, mut almost) = (0.0, 0.0);
    // What they said last may be from before.
    std::thread::sleep(Duration::from_millis(600));
    loop {
        let online = counts(holders)[0];
        let elapsed = begun.elapsed().as_secs_f64();
        for (share, at) in [(50, &mut half), (99, &mut almost)] {
            if online * 100 < u64::from(count) * share {
                *at = elapsed;
            }
        }
        if online >= count.into() {
            break;
        }
        anyhow::ensure!(elapsed < PATIENCE.as_secs_f64(), "only {online} of {count} came back");
    }
    let all = begun.elapsed().as_secs_f64();
    let [_, resyncs_after, failures_after] = counts(holders);
    let published = server.metric("choir_index_holdings_added_total", "")?;
    let answered_5xx = server.metric("choir_index_requests_total", "status=\"5")?;
    Ok(format!(
        "\nKilled with {} online and started again: ready after {ready:.1} s; half were back after {half:.1} s, 99 % after {almost:.1} s, all after {all:.1} s; \
         {} attempts failed on the way ({:.1} a peer, most of them while nobody listened), the index answered {answered_5xx:.0} with an error of its own; {} collections were asked for again, {published:.0} songs published again.\n",
        grouped(count.into()),
        failures_after - failures,
        (failures_after - failures) as f64 / f64::from(count),
        resyncs_after - resyncs,
    ))
}

/// The straight line through the points that fits best, at `x`.
fn line(points: &[(f64, f64, f64)], of: impl Fn(&(f64, f64, f64)) -> f64, x: f64) -> f64 {
    let count = points.len() as f64;
    let (mean_x, mean_y) =
        (points.iter().map(|point| point.0).sum::<f64>() / count, points.iter().map(&of).sum::<f64>() / count);
    let both: f64 = points.iter().map(|point| (point.0 - mean_x) * (of(point) - mean_y)).sum();
    let square: f64 = points.iter().map(|point| (point.0 - mean_x).powi(2)).sum();
    let slope = if square > 0.0 { both / square } else { 0.0 };
    mean_y + slope * (x - mean_x)
}
