//! The whole index over HTTP: publishing, being told that nothing changed, searching.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use choir_shared::claim::Format;
use choir_shared::leaf::FileLength;
use choir_shared::query::SearchParams;
use choir_shared::{Claim, Digest, FileId};
use harness::load::corpus::Corpus;
use harness::load::peer::{CrowdPeer, Holding};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::crowd::{self, Detail, Publisher, SET};
use crate::measure::{Latencies, grouped, median};
use crate::searching::{Outcome, Pace, paths, search, sources, typed};
use crate::server::{Server, UNLIMITED};

/// Songs of one peer.
const LIBRARY: u32 = 5_000;

const LARGE_LIBRARY: u32 = 100_000;

/// Of a hundred peers so many are online, and with them as many files.
const ONLINE_PERCENT: usize = 30;

const SEARCHERS: u32 = 64;

/// Searches at a pace that leaves the processors some rest.
const CALM: f64 = 200.0;

/// How often it is looked whether a new song can be found.
const LOOK: Duration = Duration::from_millis(25);

pub(crate) fn measure(songs: u32, rounds: usize, seconds: u32) -> anyhow::Result<String> {
    let server = Server::start(UNLIMITED)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // Whoever makes change sets must not keep those waiting who measure.
    let others = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let corpus = Corpus::new(songs);
        let mut text = String::new();
        let (first, lines) = published(&server, &corpus).await?;
        text += &lines;
        text += &unchanged(&server, &corpus, rounds).await?;
        text += &searched(&server, &corpus, first, others.handle(), rounds, seconds).await?;
        Ok(text)
    })
}

/// The songs of one peer after the other, in the order in which they come.
pub(crate) fn libraries(corpus: &Corpus, size: u32) -> Vec<Vec<u32>> {
    let places: Vec<u32> = (0..corpus.songs()).collect();
    places.chunks(size as usize).map(|places| places.iter().map(|place| corpus.arrival(*place)).collect()).collect()
}

/// New songs, then the same from others.
async fn published(server: &Server, corpus: &Corpus) -> anyhow::Result<(Vec<CrowdPeer>, String)> {
    let libraries = libraries(corpus, LIBRARY);
    let count = libraries.len() as u32;
    let firsts = crowd::members(server.door(), 0..count).await?;
    let others = crowd::members(server.door(), count..2 * count).await?;
    let firsts = Publisher::all(firsts, corpus, &libraries, Detail::Claims)?;
    let others = Publisher::all(others, corpus, &libraries, Detail::Hashes)?;
    let songs = f64::from(corpus.songs());

    let probes = Probes::start(server).await?;
    let (begun, cpu) = (Instant::now(), server.cpu_seconds());
    let indexing = server.metric("choir_index_catch_up_seconds_sum", "")?;
    let (firsts, busy) = crowd::publish(firsts).await?;
    let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), server.cpu_seconds() - cpu);
    let lags = probes.stop().await?;
    let indexing = server.metric("choir_index_catch_up_seconds_sum", "")? - indexing;
    let mut text = format!(
        "{} new songs of {count} peers, {LIBRARY} each, in sets of {SET}: {elapsed:.1} s, **{} songs/s**; the index used {cpu:.1} CPU seconds; its indexer was busy for {indexing:.1} s; asked to come back {busy} times.\n\
         Searchable after {:.1} s (median) and {:.1} s (longest of {}), counted from the answer to the publication, while all others publish.\n",
        grouped(songs),
        grouped(songs / elapsed),
        lags.percentile(50.0) / 1e3,
        lags.percentile(100.0) / 1e3,
        lags.len(),
    );

    let (begun, cpu) = (Instant::now(), server.cpu_seconds());
    let (_, busy) = crowd::publish(others).await?;
    let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), server.cpu_seconds() - cpu);
    text += &format!(
        "The same songs from {count} other peers, hashes only: {elapsed:.1} s, **{} songs/s**, {cpu:.1} CPU seconds; asked to come back {busy} times.\n\n",
        grouped(songs / elapsed)
    );
    Ok((firsts, text))
}

/// Publishes a song now and then, and looks when it can be found.
struct Probes {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<Latencies>>,
}

impl Probes {
    async fn start(server: &Server) -> anyhow::Result<Self> {
        let peer = crowd::members(server.door(), 4_000_000..4_000_001).await?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(probe(peer, stop.clone()));
        Ok(Self { stop, task })
    }

    async fn stop(self) -> anyhow::Result<Latencies> {
        self.stop.cancel();
        self.task.await?
    }
}

async fn probe(peers: Vec<CrowdPeer>, stop: CancellationToken) -> anyhow::Result<Latencies> {
    let mut lags = Latencies::default();
    for mut peer in peers {
        let mut connection = peer.connect().await?;
        for number in 0.. {
            let word = format!("probe{number}xyzzy");
            let claim =
                Claim { title: Some(word.clone()), format: Format::new("mp3").unwrap_or_default(), ..Claim::default() };
            let file = FileId::new(Digest::of(word.as_bytes()), FileLength::new(4_000_000)?);
            let set = peer.add(vec![Holding::new(file, claim)])?;
            crowd::publish_one(&peer, &mut connection, &set, &AtomicU64::new(0)).await?;
            let begun = Instant::now();
            let params = SearchParams { q: Some(word + " "), offline: Some(true), ..SearchParams::default() };
            // The song before it is called nearly the same, and found in its place until it is there.
            while peer.find(&mut connection, &params).await?.results.iter().all(|row| row.file_id != file) {
                tokio::time::sleep(LOOK).await;
            }
            lags.add(begun.elapsed().as_secs_f64() * 1e3);
            if stop.run_until_cancelled(tokio::time::sleep(Duration::from_millis(500))).await.is_none() {
                break;
            }
        }
    }
    Ok(lags)
}

/// How a peer goes.
enum End {
    /// It keeps its place for a while.
    Vanish,
    SayGoodbye,
}

/// A large library that the index knows already.
async fn unchanged(server: &Server, corpus: &Corpus, rounds: usize) -> anyhow::Result<String> {
    let size = LARGE_LIBRARY.min(corpus.songs());
    let ranks: Vec<u32> = (0..size).collect();
    let mut peers = crowd::members(server.door(), 5_000_000..5_000_001).await?;
    let owner = peers.remove(0);
    let mut publisher = vec![Publisher::new(owner, corpus, &ranks, Detail::Hashes)?];
    publisher = {
        let (mut peers, _) = crowd::publish(publisher).await?;
        vec![Publisher { peer: peers.remove(0), sets: Vec::new() }]
    };
    let owner = &publisher[0].peer;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(5) {
        for (times, end) in [(&mut cold, End::Vanish), (&mut warm, End::SayGoodbye)] {
            let begun = Instant::now();
            let (control, resync) = owner.come_online().await?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            anyhow::ensure!(resync.is_empty(), "the index wants to be told again: {resync:?}");
            match end {
                End::Vanish => drop(control),
                End::SayGoodbye => control.close().await?,
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    Ok(format!(
        "An unchanged library of {} songs: one message, nothing is published; from connecting to the welcome {:.1} ms if the index has to load it, {:.1} ms if the peer was here a moment ago (medians of {}).\n\n",
        grouped(size.into()),
        median(cold.iter().copied()),
        median(warm.iter().copied()),
        cold.len()
    ))
}

/// What goes on while others search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bustle {
    Quiet,
    /// Two full sets of new songs and ten comings and goings a second.
    Steady,
    /// As much as four publishers at once can, and the same churn.
    AsMuchAsGoes,
}

async fn searched(
    server: &Server,
    corpus: &Corpus,
    peers: Vec<CrowdPeer>,
    others: &Handle,
    rounds: usize,
    seconds: u32,
) -> anyhow::Result<String> {
    let searchers: Vec<_> =
        crowd::members(server.door(), 6_000_000..6_000_000 + SEARCHERS).await?.into_iter().map(Arc::new).collect();
    let peers: Vec<_> = peers.into_iter().map(Arc::new).collect();
    let (here, coming) = peers.split_at((peers.len() * ONLINE_PERCENT).div_ceil(100));
    let online = Online::of(here).await?;
    let paths = paths(corpus, 20_000, 23);
    let lasting = Duration::from_secs_f64(f64::from(seconds) / 6.0);
    let mut bustle = Busy::new(server, corpus, coming, others).await?;

    let (typed, sources) = (typed(corpus, 1_000, 31), sources(corpus, 20_000, 37));
    let (mut quickest, mut typing, mut asking) = (Vec::new(), Vec::new(), Vec::new());
    let mut calm: [Vec<Outcome>; 3] = Default::default();
    search(&searchers, &paths, Pace::Closed(8), lasting).await?;
    for _ in 0..rounds {
        quickest.push(search(&searchers, &paths, Pace::Closed(8), lasting).await?);
        typing.push(search(&searchers, &typed, Pace::Closed(8), lasting).await?);
        asking.push(search(&searchers, &sources, Pace::Closed(8), lasting).await?);
        for (kind, outcomes) in [Bustle::Quiet, Bustle::Steady, Bustle::AsMuchAsGoes].into_iter().zip(&mut calm) {
            let going_on = bustle.begin(kind)?;
            outcomes.push(search(&searchers, &paths, Pace::PerSecond(CALM), lasting).await?);
            bustle.end(going_on).await?;
        }
    }
    drop(online);
    let row = |name: &str, outcomes: &[Outcome], published: f64| {
        let of = |figure: &dyn Fn(&Outcome) -> f64| median(outcomes.iter().map(figure));
        format!(
            "| {name} | {} | {:.1} | {:.1} | {} | {} |\n",
            grouped(of(&Outcome::per_second)),
            of(&|outcome| outcome.latencies.percentile(50.0)),
            of(&|outcome| outcome.latencies.percentile(99.0)),
            outcomes.iter().map(|outcome| outcome.refused).sum::<u64>(),
            grouped(published),
        )
    };
    let mut text = format!(
        "Searches over HTTP, keep-alive, 20 rows, {} files of which {ONLINE_PERCENT} % online:\n\n\
         | | searches/s | p50 ms | p99 ms | refused | songs published/s meanwhile |\n|---|---|---|---|---|---|\n",
        grouped(corpus.songs().into())
    );
    text += &row("8 connections, as fast as they are answered", &quickest, 0.0);
    text += &row("the same, an artist and a title letter by letter", &typing, 0.0);
    text += &row("the same, not searching but asking for a song's sources", &asking, 0.0);
    text += &row("at a pace, quiet", &calm[0], 0.0);
    text += &row("at that pace, 2 sets of songs and 10 comings and goings a second", &calm[1], bustle.steady());
    text += &row("at that pace, 4 publishers as fast as they are answered, same churn", &calm[2], bustle.most());
    text += &format!("\nThe index has {} MiB resident at the end.\n", server.resident() >> 20);
    Ok(text)
}

/// Peers that stay online until this is dropped.
pub(crate) struct Online {
    _tasks: JoinSet<()>,
}

impl Online {
    pub(crate) async fn of(peers: &[Arc<CrowdPeer>]) -> anyhow::Result<Self> {
        let mut tasks = JoinSet::new();
        for peer in peers {
            let (mut control, resync) = peer.come_online().await?;
            anyhow::ensure!(resync.is_empty(), "the index wants to be told again: {resync:?}");
            tasks.spawn(async move { while control.hear().await.is_ok() {} });
        }
        Ok(Self { _tasks: tasks })
    }
}

/// Peers that publish, come and go.
struct Busy {
    threads: Handle,
    corpus: Corpus,
    publishers: Vec<Arc<tokio::sync::Mutex<CrowdPeer>>>,
    coming: Vec<Arc<CrowdPeer>>,
    /// The next song that nobody has published.
    next: Arc<AtomicU32>,
    going_on: Option<Bustle>,
    begun: Instant,
    rates: [Vec<f64>; 2],
    before: u32,
}

impl Busy {
    const AT_ONCE: u32 = 4;

    async fn new(
        server: &Server,
        corpus: &Corpus,
        coming: &[Arc<CrowdPeer>],
        threads: &Handle,
    ) -> anyhow::Result<Self> {
        let publishers = crowd::members(server.door(), 7_000_000..7_000_000 + Self::AT_ONCE).await?;
        Ok(Self {
            threads: threads.clone(),
            corpus: corpus.clone(),
            publishers: publishers.into_iter().map(|peer| Arc::new(tokio::sync::Mutex::new(peer))).collect(),
            coming: coming.to_vec(),
            next: Arc::new(corpus.songs().into()),
            going_on: None,
            begun: Instant::now(),
            rates: Default::default(),
            before: 0,
        })
    }

    fn begin(&mut self, kind: Bustle) -> anyhow::Result<(CancellationToken, JoinSet<anyhow::Result<()>>)> {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        self.going_on = Some(kind);
        self.begun = Instant::now();
        self.before = self.next.load(Ordering::Relaxed);
        let (lanes, apart) = match kind {
            Bustle::Quiet => return Ok((stop, tasks)),
            Bustle::Steady => (1, Duration::from_millis(500)),
            Bustle::AsMuchAsGoes => (Self::AT_ONCE as usize, Duration::ZERO),
        };
        for publisher in self.publishers.iter().take(lanes) {
            let work =
                publish_on(Arc::clone(publisher), self.corpus.clone(), Arc::clone(&self.next), apart, stop.clone());
            tasks.spawn_on(work, &self.threads);
        }
        tasks.spawn_on(churn(self.coming.clone(), stop.clone()), &self.threads);
        Ok((stop, tasks))
    }

    async fn end(&mut self, going_on: (CancellationToken, JoinSet<anyhow::Result<()>>)) -> anyhow::Result<()> {
        let (stop, mut tasks) = going_on;
        stop.cancel();
        let songs = self.next.load(Ordering::Relaxed) - self.before;
        let rate = f64::from(songs) / self.begun.elapsed().as_secs_f64();
        match self.going_on.take() {
            Some(Bustle::Steady) => self.rates[0].push(rate),
            Some(Bustle::AsMuchAsGoes) => self.rates[1].push(rate),
            Some(Bustle::Quiet) | None => {}
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    }

    fn steady(&self) -> f64 {
        median(self.rates[0].iter().copied())
    }

    fn most(&self) -> f64 {
        median(self.rates[1].iter().copied())
    }
}

async fn publish_on(
    peer: Arc<tokio::sync::Mutex<CrowdPeer>>,
    corpus: Corpus,
    next: Arc<AtomicU32>,
    apart: Duration,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut peer = peer.lock().await;
    let mut connection = peer.connect().await?;
    while !stop.is_cancelled() {
        let first = next.fetch_add(SET as u32, Ordering::Relaxed);
        let holding = |rank| Holding::new(corpus.file(rank), corpus.claim(rank));
        let set = peer.add((first..first + SET as u32).map(holding).collect())?;
        crowd::publish_one(&peer, &mut connection, &set, &AtomicU64::new(0)).await?;
        stop.run_until_cancelled(tokio::time::sleep(apart)).await;
    }
    Ok(())
}

/// Ten come and ten go each second.
async fn churn(peers: Vec<Arc<CrowdPeer>>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut here = std::collections::VecDeque::new();
    for peer in peers.iter().cycle() {
        here.push_back(peer.come_online().await?.0);
        if here.len() > peers.len() / 2
            && let Some(control) = here.pop_front()
        {
            control.close().await?;
        }
        if stop.run_until_cancelled(tokio::time::sleep(Duration::from_millis(100))).await.is_none() {
            break;
        }
    }
    for control in here {
        control.close().await?;
    }
    Ok(())
}
