//! What has to be done whoever does it, each part alone.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use choir_shared::Digest;
use choir_shared::lanes::hash_leaves;

use crate::usage::Usage;

const PIECE_BYTES: usize = 1 << 20;

/// Medians.
pub(crate) struct Bound {
    pub(crate) cores: usize,
    /// Seconds until all bytes are written and synced.
    pub(crate) disk: f64,
    pub(crate) hash_cpu: f64,
    pub(crate) write_cpu: f64,
}

pub(crate) fn measure(place: &Path, bytes: usize, rounds: usize) -> anyhow::Result<Bound> {
    let piece = piece();
    let (mut disk, mut hash_cpu, mut write_cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let begun = cpu()?;
        let mut hashes: Vec<Digest> = Vec::new();
        for _ in 0..bytes / PIECE_BYTES {
            hashes.clear();
            hash_leaves(&piece, &mut hashes);
        }
        hash_cpu.push(cpu()? - begun);

        let path = place.join("bound");
        let (start, begun) = (Instant::now(), cpu()?);
        let mut file = File::create(&path)?;
        for _ in 0..bytes / PIECE_BYTES {
            file.write_all(&piece)?;
        }
        write_cpu.push(cpu()? - begun);
        file.sync_data()?;
        disk.push(start.elapsed().as_secs_f64());
        drop(file);
        std::fs::remove_file(&path)?;
    }
    let cores = std::thread::available_parallelism()?.get();
    Ok(Bound { cores, disk: median(disk), hash_cpu: median(hash_cpu), write_cpu: median(write_cpu) })
}

/// Seconds until all cores together have hashed so many bytes, each a piece of its own again and again.
pub(crate) fn hashed_on_all_cores(bytes: usize, rounds: usize) -> anyhow::Result<f64> {
    let cores = std::thread::available_parallelism()?.get();
    let hash = || {
        let piece = piece();
        let mut hashes: Vec<Digest> = Vec::new();
        for _ in 0..bytes / PIECE_BYTES / cores {
            hashes.clear();
            hash_leaves(&piece, &mut hashes);
        }
    };
    let once = || {
        let start = Instant::now();
        std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(hash))));
        start.elapsed().as_secs_f64()
    };
    Ok(median((0..rounds).map(|_| once()).collect()))
}

fn piece() -> Vec<u8> {
    (0..PIECE_BYTES).map(|n| (n * 31 + (n >> 8) * 17) as u8).collect()
}

fn cpu() -> anyhow::Result<f64> {
    Ok(Usage::of(std::process::id())?.cpu_seconds)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
