//! Many who search over HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use choir_shared::query::SearchParams;
use harness::load::Chance;
use harness::load::corpus::Corpus;
use harness::load::peer::{CrowdPeer, search_path};
use harness::load::queries::mix;
use tokio::task::JoinSet;

use crate::measure::Latencies;

const ROWS: u32 = 20;

/// How fast searches come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many connections, each asking again as soon as it has its answer.
    Closed(usize),
    /// So many each second, whether the index keeps up or not. What waits to be asked counts as waiting.
    PerSecond(f64),
}

#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) latencies: Latencies,
    /// 429 and 503.
    pub(crate) refused: u64,
    pub(crate) seconds: f64,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.seconds
    }
}

/// Paths of searches, 20 rows each.
pub(crate) fn paths(corpus: &Corpus, count: usize, seed: u64) -> Arc<Vec<String>> {
    let path = |mut search: harness::load::queries::Search| {
        search.params.limit = Some(ROWS);
        search_path(&search.params)
    };
    Arc::new(mix(corpus, count, seed).into_iter().map(path).collect())
}

/// Paths of the searches that come of typing an artist and a title, one for each letter, one song after the other.
pub(crate) fn typed(corpus: &Corpus, songs: usize, seed: u64) -> Arc<Vec<String>> {
    /// By then most have seen what they wanted.
    const LETTERS: usize = 16;
    let mut chance = Chance::new(seed, 2);
    let mut paths = Vec::new();
    for _ in 0..songs {
        let claim = corpus.claim(chance.zipf(corpus.songs().into(), 1.0) as u32);
        let words = [claim.artist, claim.title].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let letters: Vec<char> = words.chars().take(LETTERS).collect();
        for typed in 1..=letters.len() {
            let q = Some(letters.iter().take(typed).collect());
            paths.push(search_path(&SearchParams { q, limit: Some(ROWS), ..SearchParams::default() }));
        }
    }
    Arc::new(paths)
}

/// Paths that ask who has a song, popular ones more often.
pub(crate) fn sources(corpus: &Corpus, count: usize, seed: u64) -> Arc<Vec<String>> {
    let mut chance = Chance::new(seed, 3);
    let mut rank = || chance.zipf(corpus.songs().into(), 1.0) as u32;
    Arc::new((0..count).map(|_| format!("/files/{}/sources", corpus.file(rank()))).collect())
}

/// `searchers` search for so long, over connections that stay open.
pub(crate) async fn search(
    searchers: &[Arc<CrowdPeer>],
    paths: &Arc<Vec<String>>,
    pace: Pace,
    lasting: Duration,
) -> anyhow::Result<Outcome> {
    /// More than the index works on at once, so that a slow search does not hold back those behind it.
    const OPEN: usize = 32;
    let (lanes, apart) = match pace {
        Pace::Closed(lanes) => (lanes, Duration::ZERO),
        Pace::PerSecond(rate) => (OPEN, Duration::from_secs_f64(OPEN as f64 / rate)),
    };
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for lane in 0..lanes {
        let searchers: Vec<_> = searchers.iter().skip(lane % searchers.len()).step_by(lanes).cloned().collect();
        let paths = Arc::clone(paths);
        tasks.spawn(async move {
            let mut outcome = Outcome::default();
            let mut connections = Vec::new();
            for searcher in &searchers {
                connections.push(searcher.connect().await?);
            }
            let mut due = begun + apart.mul_f64(lane as f64 / lanes as f64);
            for turn in 0.. {
                if due > Instant::now() {
                    tokio::time::sleep_until(due.into()).await;
                }
                let from = if apart.is_zero() { Instant::now() } else { due };
                if begun.elapsed() >= lasting {
                    break;
                }
                let who = turn % connections.len();
                let path = &paths[(turn * lanes + lane) % paths.len()];
                let answer = searchers[who].search(&mut connections[who], path).await?;
                match answer.status {
                    200 => outcome.latencies.add(from.elapsed().as_secs_f64() * 1e3),
                    429 | 503 => outcome.refused += 1,
                    status => anyhow::bail!("{path} was answered {status}"),
                }
                due += apart;
            }
            Ok(outcome)
        });
    }
    let mut all = Outcome::default();
    while let Some(outcome) = tasks.join_next().await {
        let outcome = outcome??;
        all.latencies.append(outcome.latencies);
        all.refused += outcome.refused;
    }
    all.seconds = begun.elapsed().as_secs_f64();
    Ok(all)
}
