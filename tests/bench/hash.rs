//! `cargo bench-hash`: Merkle leaf hashing, each kernel against the `sha2` crate, in one run.
//!
//! The candidates alternate and the medians are compared, because machines are shared and noisy.
//! `sha2` uses SHA instructions where the processor has them. To compare with a processor that has none, build it
//! without: `RUSTFLAGS='--cfg sha2_backend="soft"' cargo bench-hash`.

use std::hint::black_box;
use std::time::Instant;

use choir_shared::Digest;
use choir_shared::lanes::{Kernel, hash_leaves_with};
use choir_shared::leaf::LEAF_BYTES;
use choir_shared::merkle::TreeHasher;
use sha2::{Digest as _, Sha256};

/// More than the second-level cache, so that memory counts as it does in real use.
const BYTES: usize = 64 << 20;
const ROUNDS: usize = 9;

type Candidate = (String, Box<dyn Fn(&[u8])>);

fn main() {
    let data: Vec<u8> = (0..BYTES).map(|n| (n * 31 + (n >> 8) * 17) as u8).collect();
    let reference: Candidate = (
        "sha2, leaf by leaf".to_owned(),
        Box::new(|data| {
            data.chunks(LEAF_BYTES as usize).for_each(|leaf| {
                black_box(Sha256::digest(leaf));
            })
        }),
    );
    let kernels = Kernel::available().map(|kernel| -> Candidate {
        let hash = move |data: &[u8]| {
            let mut leaves: Vec<Digest> = Vec::with_capacity(data.len() / LEAF_BYTES as usize);
            hash_leaves_with(kernel, data, &mut leaves);
            black_box(leaves);
        };
        (format!("kernel: {kernel}"), Box::new(hash))
    });
    let tree: Candidate = (
        format!("whole tree ({})", Kernel::detect()),
        Box::new(|data| {
            let mut hasher = TreeHasher::new();
            hasher.update(data);
            let _ = black_box(hasher.finish());
        }),
    );
    let candidates: Vec<Candidate> = std::iter::once(reference).chain(kernels).chain([tree]).collect();

    let mut seconds = vec![Vec::with_capacity(ROUNDS); candidates.len()];
    for _ in 0..ROUNDS {
        for ((_, hash), times) in candidates.iter().zip(&mut seconds) {
            let start = Instant::now();
            hash(black_box(&data));
            times.push(start.elapsed().as_secs_f64());
        }
    }
    let medians: Vec<f64> = seconds.iter_mut().map(|times| median(times)).collect();
    println!("| candidate | MB/s, one thread | × sha2 |\n|---|---|---|");
    for ((name, _), median) in candidates.iter().zip(&medians) {
        println!("| {name} | {:.0} | {:.2} |", BYTES as f64 / median / 1e6, medians[0] / median);
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
