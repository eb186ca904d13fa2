//! `cargo bench-transfer`: whole processes, verified and on disk, beside the bounds that this machine sets and beside
//! what else people use, in one run.
//!
//! Three parts: one file of 1 GiB from one source, a folder of 200 songs from one source, and taking these songs into
//! a library. In each the candidates alternate and the medians are compared, because machines are shared and noisy.
//! Both ends share this machine, in every row. Programs that are not installed are left out, and named. With `--write`
//! the tables replace those of the last run in docs/PERFORMANCE.md.

mod bound;
mod choir;
mod goods;
mod others;
mod raw;
mod usage;

use std::path::Path;
use std::rc::Rc;

use anyhow::Context as _;
use clap::Parser;
use harness::record;

use self::goods::Goods;
use self::usage::Run;

const FILE_BYTES: usize = 1 << 30;

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
    /// One part only: file, folder or library.
    #[arg(long)]
    part: Option<String>,
    /// Put the tables into docs/PERFORMANCE.md.
    #[arg(long)]
    write: bool,
}

/// Something that is done once in each round.
struct Candidate {
    name: String,
    run: Box<dyn FnMut() -> anyhow::Result<Run>>,
}

impl Candidate {
    fn new(name: impl Into<String>, run: impl FnMut() -> anyhow::Result<Run> + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// The run in the middle, by time, of each candidate.
type Medians = Vec<(String, Run)>;

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
    if wants("folder") || wants("library") {
        let songs = Rc::new(Goods::songs(place.path())?);
        if wants("folder") {
            tell("folder", folder(&songs, &options)?)?;
        }
        if wants("library") {
            tell("library", library(place.path(), &songs, &options)?)?;
        }
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
    Ok(table(&medians, goods.bytes) + "\n" + &bounds(place, &medians, options.rounds)?)
}

/// A folder of 200 songs from one source.
fn folder(songs: &Rc<Goods>, options: &Options) -> anyhow::Result<String> {
    let mut candidates = Vec::new();
    for datagram in DATAGRAMS {
        let mut sharer = choir::Sharer::of(songs, datagram)?;
        candidates.push(Candidate::new(format!("choir get --folder, {datagram}-byte datagrams"), move || sharer.get()));
    }
    if !options.alone {
        candidates.extend(others::installed(songs)?);
    }
    Ok(table(&compare(candidates, options.rounds)?, songs.bytes))
}

/// The same songs, hashed and shared.
fn library(place: &Path, songs: &Rc<Goods>, options: &Options) -> anyhow::Result<String> {
    let [shared, hashed, summed] = [(); 3].map(|()| Rc::clone(songs));
    let candidates = vec![
        Candidate::new("choir share add --wait, until published", move || choir::share(&shared)),
        Candidate::new("choir hash", move || choir::hash(&hashed)),
        Candidate::new("sha256sum", move || others::sha256sum(&summed)),
    ];
    let table = table(&compare(candidates, options.rounds)?, songs.bytes);
    let bound = bound::measure(place, songs.bytes as usize, options.rounds)?;
    Ok(format!("{table}\nHashing the bytes in lanes, on one core: {:.2} CPU s.\n", bound.hash_cpu))
}

fn compare(mut candidates: Vec<Candidate>, rounds: usize) -> anyhow::Result<Medians> {
    let mut runs: Vec<Vec<Run>> = candidates.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for (candidate, runs) in candidates.iter_mut().zip(&mut runs) {
            runs.push((candidate.run)().with_context(|| candidate.name.clone())?);
        }
    }
    let median = |(candidate, mut runs): (Candidate, Vec<Run>)| {
        runs.sort_by(|left, right| left.seconds.total_cmp(&right.seconds));
        (candidate.name, runs[runs.len() / 2])
    };
    Ok(candidates.into_iter().zip(runs).map(median).collect())
}

fn table(medians: &Medians, bytes: u64) -> String {
    let head = "| | MB/s | s | CPU s receiving | CPU s sending | peak MiB receiving | peak MiB sending |\n";
    let mut table = format!("{head}|---|---|---|---|---|---|---|\n");
    for (name, run) in medians {
        let rate = bytes as f64 / run.seconds / 1e6;
        let mebibytes = |bytes: u64| if bytes == 0 { "–".to_owned() } else { (bytes >> 20).to_string() };
        table += &format!(
            "| {name} | {rate:.0} | {:.2} | {:.2} | {:.2} | {} | {} |\n",
            run.seconds,
            run.receiving.cpu_seconds,
            run.sending.cpu_seconds,
            mebibytes(run.receiving.peak_bytes),
            mebibytes(run.sending.peak_bytes)
        );
    }
    table
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
