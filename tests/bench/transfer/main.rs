//! `cargo bench-transfer`: whole processes, verified and on disk, beside the bounds that this machine sets and beside
//! what else people use, in one run.
//!
//! Five parts: one file of 1 GiB from one source, a file from four sources, a folder of 200 songs from one source, and
//! taking these songs into a library, and larger ones from the disk. In each the candidates alternate and the medians are compared, because machines are shared and noisy.
//! Both ends share this machine, in every row. Programs that are not installed are left out, and named. With `--write`
//! the tables replace those of the last run in docs/PERFORMANCE.md.

mod bound;
mod choir;
mod cold;
mod goods;
mod others;
mod raw;
mod report;
mod usage;

use std::path::Path;
use std::rc::Rc;

use clap::Parser;
use harness::record;

use self::goods::Goods;
use self::report::{Candidate, Medians, compare, ratios, table};

const FILE_BYTES: usize = 1 << 30;

/// What four sources of [`SOURCE_RATE`] send in eight seconds.
const SHARED_BYTES: usize = 100_000_000;
const SOURCES: usize = 4;

/// 25 Mbit/s, in bytes a second.
const SOURCE_RATE: u32 = 3_125_000;

/// What crosses the internet whole, and what path MTU discovery finds on loopback.
const DATAGRAMS: [u16; 2] = [1452, 6500];

#[derive(Parser)]
struct Options {
    /// How often each candidate runs.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Choir and its bounds only.
    #[arg(long)]
    alone: bool,
    /// One part only: file, sources, folder, library or cold.
    #[arg(long)]
    part: Option<String>,
    /// Put the tables into docs/PERFORMANCE.md.
    #[arg(long)]
    write: bool,
}

fn main() -> anyhow::Result<()> {
    choir_peer::index_client::install_crypto();
    let options = Options::parse();
    let place = tempfile::tempdir()?;
    let wants = |part: &str| options.part.as_deref().is_none_or(|only| only == part);
    let tell = |part: &str, tables: String| {
        println!("\n{tables}");
        if options.write { record::write("bench-transfer", part, &tables) } else { Ok(()) }
    };
    if wants("file") {
        tell("file", one_file(place.path(), &options)?)?;
    }
    if wants("sources") {
        tell("sources", sources(place.path(), &options)?)?;
    }
    if wants("folder") || wants("library") {
        let songs = Rc::new(Goods::songs(place.path())?);
        if wants("folder") {
            tell("folder", folder(place.path(), &songs, &options)?)?;
        }
        if wants("library") {
            tell("library", library(place.path(), &songs, &options)?)?;
        }
    }
    if wants("cold") {
        tell("cold", cold::measure(place.path(), options.rounds)?)?;
    }
    Ok(())
}

/// One file of 1 GiB from one source.
fn one_file(place: &Path, options: &Options) -> anyhow::Result<String> {
    let goods = Rc::new(Goods::one_file(place, FILE_BYTES)?);
    let mut candidates = Vec::new();
    for datagram in DATAGRAMS {
        candidates.push(Candidate::new(format!("raw quinn into memory, {datagram}-byte datagrams"), move || {
            raw::transfer(datagram, FILE_BYTES)
        }));
        let mut sharer = choir::Sharer::of(&goods, datagram)?;
        candidates.push(Candidate::new(format!("choir get, {datagram}-byte datagrams"), move || sharer.get()));
    }
    if !options.alone {
        candidates.extend(others::installed(&goods)?);
    }
    let medians = compare(candidates, options.rounds)?;
    let beside = ratios(&medians, "choir get, 6500", &["sendme", "libtorrent", "curl"]);
    Ok(table(&medians, goods.bytes) + &beside + "\n" + &bounds(place, &medians, options.rounds)?)
}

/// One file from four sources, each of which sends no faster than a home does.
fn sources(place: &Path, options: &Options) -> anyhow::Result<String> {
    let goods = Rc::new(Goods::one_file(place, SHARED_BYTES)?);
    let mut sharers = choir::Sharer::several(&goods, SOURCES, SOURCE_RATE)?;
    let run = Candidate::new("choir get from four sources of 25 Mbit/s", move || sharers.get());
    let medians = compare(vec![run], options.rounds)?;
    let sum = SOURCES as f64 * f64::from(SOURCE_RATE);
    let rate = medians.first().map_or(0.0, |(_, run)| goods.bytes as f64 / run.seconds);
    Ok(format!("{}\nOf the sum of their limits: {:.2}.\n", table(&medians, goods.bytes), rate / sum))
}

/// A folder of 200 songs from one source.
fn folder(place: &Path, songs: &Rc<Goods>, options: &Options) -> anyhow::Result<String> {
    let mut candidates = Vec::new();
    for datagram in DATAGRAMS {
        let mut sharer = choir::Sharer::of(songs, datagram)?;
        candidates.push(Candidate::new(format!("choir get --folder, {datagram}-byte datagrams"), move || sharer.get()));
    }
    let whole = Rc::new(Goods::one_file(place, usize::try_from(songs.bytes)?)?);
    let mut sharer = choir::Sharer::of(&whole, DATAGRAMS[1])?;
    candidates.push(Candidate::new("choir get, one file of as many bytes", move || sharer.get()));
    if !options.alone {
        candidates.extend(others::installed(songs)?);
    }
    let medians = compare(candidates, options.rounds)?;
    let beside = ratios(&medians, "choir get --folder, 6500", &["choir get, one file", "sendme"]);
    Ok(table(&medians, songs.bytes) + &beside)
}

/// The same songs, hashed and shared.
fn library(place: &Path, songs: &Rc<Goods>, options: &Options) -> anyhow::Result<String> {
    let [shared, hashed, summed] = [(); 3].map(|()| Rc::clone(songs));
    let candidates = vec![
        Candidate::new("choir share add --wait, until published", move || choir::share(&shared)),
        Candidate::new("choir hash", move || choir::hash(&hashed)),
        Candidate::new("sha256sum", move || others::sha256sum(&summed)),
    ];
    let medians = compare(candidates, options.rounds)?;
    let table = table(&medians, songs.bytes) + &ratios(&medians, "choir hash", &["sha256sum"]);
    let bound = bound::measure(place, songs.bytes as usize, options.rounds)?;
    Ok(format!("{table}\nHashing the bytes in lanes, on one core: {:.2} CPU s.\n", bound.hash_cpu))
}

/// What this machine allows at best: as fast as the disk takes it, and as the cores do the least that must be done.
fn bounds(place: &Path, medians: &Medians, rounds: usize) -> anyhow::Result<String> {
    let bound = bound::measure(place, FILE_BYTES, rounds)?;
    let mut table = format!(
        "The bound: the disk alone takes {:.2} s to write and sync; hashing costs {:.2} CPU seconds, writing to the page \
         cache {:.2}.\n\n| datagrams | bound by the disk, s | bound by {} cores, s | choir, s | bound ÷ choir |\n\
         |---|---|---|---|---|\n",
        bound.disk, bound.hash_cpu, bound.write_cpu, bound.cores
    );
    for (datagram, pair) in DATAGRAMS.iter().zip(medians.chunks(2)) {
        let [(_, raw), (_, choir)] = pair else { continue };
        let cpu = raw.receiving.cpu_seconds + raw.sending.cpu_seconds + bound.hash_cpu + bound.write_cpu;
        let cores = cpu / bound.cores as f64;
        let best = cores.max(bound.disk);
        table += &format!(
            "| {datagram} | {:.2} | {cores:.2} | {:.2} | {:.2} |\n",
            bound.disk,
            choir.seconds,
            best / choir.seconds
        );
    }
    Ok(table)
}
