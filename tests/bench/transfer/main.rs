//! `cargo bench-transfer`: one file of 1 GiB from one source, whole processes, verified and on disk, beside the bound
//! that this machine sets and beside what else people use, in one run.
//!
//! The candidates alternate and the medians are compared, because machines are shared and noisy. Both ends share this
//! machine, in every row. Programs that are not installed are left out, and named.

mod bound;
mod choir;
mod others;
mod raw;
mod usage;

use anyhow::Context as _;
use clap::Parser;
use harness::fixtures;
use tempfile::TempDir;

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
}

/// Something that moves the file once.
struct Candidate {
    name: String,
    run: Box<dyn FnMut() -> anyhow::Result<Run>>,
    runs: Vec<Run>,
}

impl Candidate {
    fn new(name: impl Into<String>, run: impl FnMut() -> anyhow::Result<Run> + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run), runs: Vec::new() }
    }

    /// The run in the middle, by time.
    fn median(&mut self) -> Run {
        self.runs.sort_by(|left, right| left.seconds.total_cmp(&right.seconds));
        self.runs[self.runs.len() / 2]
    }
}

fn main() -> anyhow::Result<()> {
    choir_peer::index_client::install_crypto();
    let options = Options::parse();
    let place = tempfile::tempdir()?;
    println!("making a file of {FILE_BYTES} bytes…");
    let song = place.path().join("Bench - Long Song.wav");
    std::fs::write(&song, fixtures::noise("Long Song", "Bench", FILE_BYTES, 1))?;

    let mut candidates = Vec::new();
    for datagram in DATAGRAMS {
        candidates.push(Candidate::new(format!("raw quinn into memory, {datagram}-byte datagrams"), move || {
            raw::transfer(datagram, FILE_BYTES)
        }));
        let mut sharer = choir::Sharer::of(&song, datagram)?;
        candidates.push(Candidate::new(format!("choir get, {datagram}-byte datagrams"), move || sharer.get()));
    }
    if !options.alone {
        candidates.extend(others::installed(&song)?);
    }
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        for candidate in &mut candidates {
            let run = (candidate.run)().with_context(|| candidate.name.clone())?;
            candidate.runs.push(run);
        }
    }
    let medians: Vec<(String, Run)> =
        candidates.iter_mut().map(|candidate| (candidate.name.clone(), candidate.median())).collect();
    print(&medians);
    print_bounds(&place, &medians, options.rounds)
}

fn print(medians: &[(String, Run)]) {
    println!("\n| | MB/s | s | CPU s receiving | CPU s sending | peak MiB receiving | peak MiB sending |");
    println!("|---|---|---|---|---|---|---|");
    for (name, run) in medians {
        let rate = FILE_BYTES as f64 / run.seconds / 1e6;
        let mebibytes = |bytes: u64| if bytes == 0 { "–".to_owned() } else { (bytes >> 20).to_string() };
        println!(
            "| {name} | {rate:.0} | {:.2} | {:.2} | {:.2} | {} | {} |",
            run.seconds,
            run.receiving.cpu_seconds,
            run.sending.cpu_seconds,
            mebibytes(run.receiving.peak_bytes),
            mebibytes(run.sending.peak_bytes)
        );
    }
}

/// What this machine allows at best: as fast as the disk takes it, and as the cores do the least that must be done.
fn print_bounds(place: &TempDir, medians: &[(String, Run)], rounds: usize) -> anyhow::Result<()> {
    let bound = bound::measure(place.path(), FILE_BYTES, rounds)?;
    println!(
        "\ndisk: {:.2} s to write and sync; hashing: {:.2} CPU s; writing to the page cache: {:.2} CPU s",
        bound.disk, bound.hash_cpu, bound.write_cpu
    );
    println!(
        "\n| datagrams | bound by the disk, s | bound by {} cores, s | choir, s | bound ÷ choir |\n|---|---|---|---|---|",
        bound.cores
    );
    for (datagram, pair) in DATAGRAMS.iter().zip(medians.chunks(2)) {
        let [(_, raw), (_, choir)] = pair else { continue };
        let cpu = raw.receiving.cpu_seconds + raw.sending.cpu_seconds + bound.hash_cpu + bound.write_cpu;
        let cores = cpu / bound.cores as f64;
        let best = cores.max(bound.disk);
        println!(
            "| {datagram} | {:.2} | {cores:.2} | {:.2} | {:.2} |",
            bound.disk,
            choir.seconds,
            best / choir.seconds
        );
    }
    Ok(())
}
