//! The search engine alone, in this process: beside plain tantivy on the same files, and SQLite FTS5 on the same songs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use choir_index::online::Online;
use choir_index::search::{Indexer, SearchEngine};
use choir_index::store::{FileNo, IndexedFile, MemberNo};
use choir_shared::query::{MAX_LIMIT, Query};
use harness::load::Chance;
use harness::load::corpus::Corpus;
use harness::load::plain::Plain;
use harness::load::queries::{Kind, Search, mix};
use harness::process::{Memory, memory};

use crate::fts::Fts;
use crate::measure::{Latencies, grouped, median};

/// Parts of a thousand files that somebody online holds.
const ONLINE: [u64; 3] = [300, 30, 3];

const BATCH: u32 = 50_000;

/// As many files are one peer's.
const LIBRARY: usize = 500;

const SEARCHES: usize = 4_000;

/// A scan of everything takes a while.
const SCANNED: usize = 400;

/// FTS5 takes longer still.
const FTS_SEARCHES: usize = 400;

/// A larger table than this is not worth the wait: its figures are known (`research/index_measured.md`).
const FTS_SONGS: u32 = 1_000_000;

/// What plain tantivy is asked for; the engine's default page has as many rows.
const ROWS: usize = 50;

const THREADS: usize = 2;

pub(crate) fn measure(songs: u32, rounds: usize) -> anyhow::Result<String> {
    let corpus = Corpus::new(songs);
    let folder = tempfile::tempdir()?;
    let (built, _indexer, engine) = build(&corpus, folder.path())?;
    let plain = Plain::open(folder.path())?;
    let searches = mix(&corpus, SEARCHES, 7);
    let mut text = built;
    text += "| online | | p50 ms | p99 ms | searches/s, 2 threads | p99 ÷ TopDocs | recall@20, words and beginnings to 4 letters | recall@20, longer beginnings | matches looked at ÷ all, single and frequent words |\n|---|---|---|---|---|---|---|---|---|\n";
    let mut details = String::new();
    for share in ONLINE {
        let online = presence(songs, share);
        let (timed, by_kind) = time(&engine, &plain, &online, &searches, rounds)?;
        let quality = compare(&engine, &plain, &online, &searches)?;
        let percent = share as f64 / 10.0;
        text += &format!(
            "| {percent} % | Choir | {:.2} | {:.2} | {} | {:.2} | {:.4} | {:.4} | {:.4} |\n",
            timed.ours.p50,
            timed.ours.p99,
            grouped(timed.ours.per_second),
            timed.ours.p99 / timed.plain.p99,
            quality.recall_of_words,
            quality.recall_of_long,
            quality.visited
        );
        text += &format!(
            "| – | TopDocs({ROWS}) | {:.2} | {:.2} | {} | | | | |\n",
            timed.plain.p50,
            timed.plain.p99,
            grouped(timed.plain.per_second)
        );
        details += &format!("\n{percent} % online, each kind, p50 and p99 in ms:");
        for (kind, latencies) in by_kind {
            let (p50, p99) = (latencies.percentile(50.0), latencies.percentile(99.0));
            details += &format!(" {} {p50:.2} and {p99:.2};", kind.name());
        }
        details += "\n";
        if share == ONLINE[0] && songs <= FTS_SONGS {
            let fts = Fts::fill(&corpus, &folder.path().join("fts.db"), share)?;
            let latencies = fts.time(&searches[..FTS_SEARCHES.min(searches.len())])?;
            text += &format!(
                "| {percent} % | SQLite FTS5, through sqlx | {:.2} | {:.2} | | its p99 is {:.0} × ours | | | |\n",
                latencies.percentile(50.0),
                latencies.percentile(99.0),
                latencies.percentile(99.0) / timed.ours.p99
            );
        }
    }
    Ok(text + &details)
}

/// Fills a search index, closes it, so that merges end, and opens it again.
fn build(corpus: &Corpus, folder: &Path) -> anyhow::Result<(String, Indexer, SearchEngine)> {
    let before = memory(std::process::id(), Memory::Resident);
    let begun = Instant::now();
    let (mut indexer, engine) = SearchEngine::open(folder)?;
    drop(engine);
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let (sender, batches) = sync_channel(2);
        scope.spawn(move || {
            for first in (0..corpus.songs()).step_by(BATCH as usize) {
                let files: Vec<_> = (first..corpus.songs().min(first + BATCH)).map(|at| file(corpus, at)).collect();
                if sender.send(files).is_err() {
                    return;
                }
            }
        });
        for files in batches {
            indexer.apply(&files)?;
            indexer.commit(files.last().map_or(0, |file| file.revision))?;
        }
        Ok(())
    })?;
    drop(indexer);
    let seconds = begun.elapsed().as_secs_f64();
    let (indexer, engine) = SearchEngine::open(folder)?;
    let opened = begun.elapsed().as_secs_f64() - seconds;
    let bytes: u64 = walk(folder)?;
    let resident = memory(std::process::id(), Memory::Resident).saturating_sub(before);
    let songs = f64::from(corpus.songs());
    let text = format!(
        "{} files: built at {} files/s ({BATCH} a commit, merges waited for), {:.0} bytes a file on disk, opened in {opened:.1} s; this process grew by {} MiB.\n\n",
        grouped(songs),
        grouped(songs / seconds),
        bytes as f64 / songs,
        resident >> 20
    );
    eprintln!("{text}");
    Ok((text, indexer, engine))
}

/// The song that comes in this place, as the store would tell the engine of it.
pub(crate) fn file(corpus: &Corpus, place: u32) -> IndexedFile {
    let rank = corpus.arrival(place);
    IndexedFile {
        no: FileNo(place + 1),
        id: corpus.file(rank),
        revision: u64::from(place) + 1,
        claim: corpus.claim(rank),
        holders: corpus.holders(rank),
        blocked: false,
    }
}

/// So many of a thousand files are online, however popular they are.
fn presence(songs: u32, permille: u64) -> Online {
    let files: Vec<FileNo> = (1..=songs).filter(|no| is_online(*no, permille)).map(FileNo).collect();
    let online = Online::new();
    for (member, files) in (1..).zip(files.chunks(LIBRARY)) {
        online.arrive(MemberNo(member), files);
    }
    online
}

pub(crate) fn is_online(no: u32, permille: u64) -> bool {
    Chance::new(11, no.into()).below(1_000) < permille
}

struct Timed {
    ours: Speed,
    plain: Speed,
}

struct Speed {
    p50: f64,
    p99: f64,
    per_second: f64,
}

/// Medians of rounds in which both take turns.
fn time(
    engine: &SearchEngine,
    plain: &Plain,
    online: &Online,
    searches: &[Search],
    rounds: usize,
) -> anyhow::Result<(Timed, BTreeMap<Kind, Latencies>)> {
    let ours = |query: &Query| anyhow::Ok(engine.search(query, online, None).map(drop)?);
    let theirs = |query: &Query| anyhow::Ok(plain.top(query, ROWS).map(drop)?);
    let (mut of_ours, mut of_plain): (Vec<Speed>, Vec<Speed>) = (Vec::new(), Vec::new());
    let mut by_kind = BTreeMap::<Kind, Latencies>::new();
    for round in 0..=rounds {
        let (our_latencies, their_latencies) = (one_by_one(searches, ours)?, one_by_one(searches, theirs)?);
        let (our_rate, their_rate) = (at_once(searches, ours)?, at_once(searches, theirs)?);
        // The first round warms the page cache.
        if round == 0 {
            continue;
        }
        of_ours.push(Speed::new(&our_latencies, our_rate));
        of_plain.push(Speed::new(&their_latencies, their_rate));
        for (search, milliseconds) in searches.iter().zip(our_latencies.iter()) {
            by_kind.entry(search.kind).or_default().add(*milliseconds);
        }
    }
    Ok((Timed { ours: Speed::median(&of_ours), plain: Speed::median(&of_plain) }, by_kind))
}

fn one_by_one(searches: &[Search], search: impl Fn(&Query) -> anyhow::Result<()>) -> anyhow::Result<Vec<f64>> {
    let one = |asked: &Search| {
        let begun = Instant::now();
        search(&asked.query)?;
        Ok(begun.elapsed().as_secs_f64() * 1e3)
    };
    searches.iter().map(one).collect()
}

/// Searches each second, on several threads.
fn at_once(searches: &[Search], search: impl Fn(&Query) -> anyhow::Result<()> + Sync) -> anyhow::Result<f64> {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let parts = searches.chunks(searches.len().div_ceil(THREADS));
        let work = |part: &[Search]| part.iter().try_for_each(|asked| search(&asked.query));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("a search panicked")))
    })?;
    Ok(searches.len() as f64 / begun.elapsed().as_secs_f64())
}

impl Speed {
    fn new(latencies: &[f64], per_second: f64) -> Self {
        let mut all = Latencies::default();
        latencies.iter().for_each(|latency| all.add(*latency));
        Self { p50: all.percentile(50.0), p99: all.percentile(99.0), per_second }
    }

    fn median(speeds: &[Self]) -> Self {
        let of = |field: fn(&Self) -> f64| median(speeds.iter().map(field));
        Self { p50: of(|speed| speed.p50), p99: of(|speed| speed.p99), per_second: of(|speed| speed.per_second) }
    }
}

struct Quality {
    recall_of_words: f64,
    recall_of_long: f64,
    /// Of all matches, as a scan would; for single words, which match most.
    visited: f64,
}

/// The engine's answers beside a scan of every match.
fn compare(engine: &SearchEngine, plain: &Plain, online: &Online, searches: &[Search]) -> anyhow::Result<Quality> {
    let (mut words, mut long) = (Mean::default(), Mean::default());
    let (mut visited, mut matches) = (0, 0);
    for search in searches.iter().take(SCANNED) {
        let mut scan = plain.scan(&search.query, online)?;
        let mut query = search.query.clone();
        query.limit = MAX_LIMIT;
        let found = engine.search(&query, online, None)?;
        // With fewer the engine also looks for what may have been meant.
        if scan.online() < 5 {
            continue;
        }
        if matches!(search.kind, Kind::OneWord | Kind::Common) {
            visited += found.visited;
            matches += scan.matches;
        }
        let mean = if search.kind == Kind::LongBeginning { &mut long } else { &mut words };
        scan.recall(&found.hits, 20).into_iter().for_each(|recall| mean.add(recall));
    }
    Ok(Quality {
        recall_of_words: words.value(),
        recall_of_long: long.value(),
        visited: visited as f64 / f64::max(matches as f64, 1.0),
    })
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn value(&self) -> f64 {
        self.sum / self.count as f64
    }
}

/// Bytes of all files in a folder.
fn walk(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { walk(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
