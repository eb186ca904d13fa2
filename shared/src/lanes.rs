//! SHA-256 of many leaves side by side.
//!
//! Leaves are independent messages of one length, so a processor with wide registers hashes 8 or 16 of them in
//! little more than the time of one. The rules:
//!
//! - **The answer is that of `sha2`, always.** A [`Kernel`] only decides how soon it comes. One that this
//!   processor does not have is replaced by `sha2`, so any kernel may be asked for anywhere.
//! - **No vector instruction is written by hand.** The kernel is arithmetic on arrays, to be read beside
//!   FIPS 180-4, and compiled once per instruction set. Its shape is what makes compilers vectorise it, and is
//!   explained where it looks odd.
//! - **A batch costs the same however many of its lanes are used,** so a few leaves that would leave most
//!   lanes idle go to `sha2`. So does the short last leaf of a file: it has another number of blocks.

use std::fmt;
use std::sync::OnceLock;

use crate::digest::Digest;
use crate::leaf::LEAF_BYTES;

/// A way to hash leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// 16 leaves at a time, in the registers of AVX-512.
    Lanes16,
    /// `sha2` on a processor with instructions for SHA-256: one leaf after the other.
    ShaInstructions,
    /// 8 leaves at a time, in the registers of AVX2.
    Lanes8,
    /// `sha2` on any other processor: one leaf after the other.
    Scalar,
}

impl Kernel {
    /// Fastest first, by what one core of a Zen 4 server that has them all did with 64 leaves at a time:
    /// 16 lanes 2,990 MB/s, SHA instructions 1,790, 8 lanes 1,690, `sha2` in software 380.
    /// So AVX-512 comes before SHA instructions where a processor has both, and AVX2 alone does not.
    const BY_SPEED: [Self; 4] = [Self::Lanes16, Self::ShaInstructions, Self::Lanes8, Self::Scalar];

    /// The fastest kernel of this processor.
    pub fn detect() -> Self {
        static FASTEST: OnceLock<Kernel> = OnceLock::new();
        *FASTEST.get_or_init(|| Self::available().next().unwrap_or(Self::Scalar))
    }

    /// The kernels of this processor, fastest first. `sha2` is listed once, by what it will use.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::BY_SPEED.into_iter().filter(|kernel| match kernel {
            Self::Lanes16 => processor::lanes_16().is_some(),
            Self::ShaInstructions => processor::has_sha_instructions(),
            Self::Lanes8 => processor::lanes_8().is_some(),
            Self::Scalar => !processor::has_sha_instructions(),
        })
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lanes16 => "16 lanes (AVX-512)",
            Self::ShaInstructions => "SHA instructions",
            Self::Lanes8 => "8 lanes (AVX2)",
            Self::Scalar => "scalar",
        })
    }
}

/// Appends the hash of each leaf of `data` to `out`. Only the last leaf may be short.
pub fn hash_leaves(data: &[u8], out: &mut Vec<Digest>) {
    hash_leaves_with(Kernel::detect(), data, out);
}

/// [`hash_leaves`] by a kernel of choice, for tests and measurements.
pub fn hash_leaves_with(kernel: Kernel, data: &[u8], out: &mut Vec<Digest>) {
    let (leaves, short) = data.as_chunks();
    out.reserve(leaves.len() + 1);
    match kernel {
        Kernel::Lanes16 => hash_in_batches(processor::lanes_16(), leaves, out),
        Kernel::Lanes8 => hash_in_batches(processor::lanes_8(), leaves, out),
        Kernel::ShaInstructions | Kernel::Scalar => hash_in_turn(leaves, out),
    }
    if !short.is_empty() {
        out.push(Digest::of(short));
    }
}

type Leaf = [u8; LEAF_BYTES as usize];

/// Hashes `N` leaves in the time of one.
type Batch<const N: usize> = fn([&Leaf; N]) -> [Digest; N];

fn hash_in_turn(leaves: &[Leaf], out: &mut Vec<Digest>) {
    out.extend(leaves.iter().map(|leaf| Digest::of(leaf)));
}

fn hash_in_batches<const N: usize>(batch: Option<Batch<N>>, leaves: &[Leaf], out: &mut Vec<Digest>) {
    let Some(batch) = batch else {
        return hash_in_turn(leaves, out);
    };
    let (full, rest) = leaves.as_chunks();
    for leaves in full {
        out.extend(batch(leaves.each_ref()));
    }
    match rest {
        [first, ..] if rest.len() >= fewest_worth_a_batch(N) => {
            // Idle lanes hash the first leaf again; nobody looks at them.
            let lanes = std::array::from_fn(|lane| rest.get(lane).unwrap_or(first));
            out.extend(batch(lanes).into_iter().take(rest.len()));
        }
        _ => hash_in_turn(rest, out),
    }
}

/// How many leaves `sha2` hashes in the time of one batch. By the figures at [`Kernel::BY_SPEED`] that is 9.6 of
/// 16 with SHA instructions, and 2 of either without them, where a quarter of the lanes never does much harm.
fn fewest_worth_a_batch(lanes: usize) -> usize {
    if processor::has_sha_instructions() { lanes * 5 / 8 } else { lanes / 4 }
}

/// What the processor at hand can do. The detection of the standard library is cached: each call is one load.
#[cfg(target_arch = "x86_64")]
mod processor {
    use std::arch::is_x86_feature_detected;

    use super::{Batch, Leaf, side_by_side};
    use crate::digest::Digest;

    /// What `sha2` asks before it uses them.
    pub(super) fn has_sha_instructions() -> bool {
        is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1")
    }

    pub(super) fn lanes_16() -> Option<Batch<16>> {
        // BW is for the byte swap; every processor with AVX-512 of interest has it.
        #[target_feature(enable = "avx512f,avx512bw")]
        fn batch(leaves: [&Leaf; 16]) -> [Digest; 16] {
            side_by_side::hash(leaves)
        }

        let there = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        // SAFETY: the closure leaves this function only if the processor has the features of `batch`.
        let closure: Batch<16> = |leaves| unsafe { batch(leaves) };
        there.then_some(closure)
    }

    pub(super) fn lanes_8() -> Option<Batch<8>> {
        #[target_feature(enable = "avx2")]
        fn batch(leaves: [&Leaf; 8]) -> [Digest; 8] {
            side_by_side::hash(leaves)
        }

        let there = is_x86_feature_detected!("avx2");
        // SAFETY: the closure leaves this function only if the processor has the feature of `batch`.
        let closure: Batch<8> = |leaves| unsafe { batch(leaves) };
        there.then_some(closure)
    }
}

/// Elsewhere `sha2` serves alone: most 64-bit ARM processors have SHA instructions, and it uses them.
#[cfg(not(target_arch = "x86_64"))]
mod processor {
    use super::Batch;

    #[cfg(target_arch = "aarch64")]
    pub(super) fn has_sha_instructions() -> bool {
        std::arch::is_aarch64_feature_detected!("sha2")
    }

    #[cfg(not(target_arch = "aarch64"))]
    pub(super) fn has_sha_instructions() -> bool {
        false
    }

    pub(super) fn lanes_16() -> Option<Batch<16>> {
        None
    }

    pub(super) fn lanes_8() -> Option<Batch<8>> {
        None
    }
}

/// SHA-256 (FIPS 180-4, section 6.2) of `N` leaves, each word of which is `N` words, one per lane.
///
/// Everything here is `inline(always)`, so that it is compiled with the features of the function that calls it.
#[cfg(target_arch = "x86_64")]
mod side_by_side {
    use super::Leaf;
    use crate::digest::Digest;
    use crate::leaf::LEAF_BYTES;

    /// One word of each lane.
    type Words<const N: usize> = [u32; N];

    /// The 16 words that SHA-256 takes in at once.
    const BLOCK_WORDS: usize = 16;

    const BLOCKS: usize = LEAF_BYTES as usize / (4 * BLOCK_WORDS);

    /// What follows a whole leaf: one set bit, zeros, and the length in bits.
    const PADDING: [u32; BLOCK_WORDS] = {
        let mut block = [0; BLOCK_WORDS];
        block[0] = 1 << 31;
        block[BLOCK_WORDS - 1] = LEAF_BYTES * 8;
        block
    };

    #[inline(always)]
    pub(super) fn hash<const N: usize>(leaves: [&Leaf; N]) -> [Digest; N] {
        let mut state = INITIAL_STATE.map(|word| [word; N]);
        for block in 0..BLOCKS {
            compress(&mut state, words_of(&leaves, block));
        }
        compress(&mut state, PADDING.map(|word| [word; N]));
        std::array::from_fn(|lane| digest_of(state.map(|words| words[lane])))
    }

    fn digest_of(state: [u32; 8]) -> Digest {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
            *bytes = word.to_be_bytes();
        }
        Digest::new(bytes)
    }

    /// Block number `block` of every leaf, transposed: leaves lie one after the other, lanes side by side.
    ///
    /// A loop over leaves and words would become gathers, which halve the speed. Instead the two halves of the
    /// matrix are riffled like a pack of cards: each time, the highest bit of every index becomes the lowest,
    /// so after log2(N) times the number of the leaf has moved from the high end to the low end. Compilers see
    /// a shuffle of two registers in it.
    #[inline(always)]
    fn words_of<const N: usize>(leaves: &[&Leaf; N], block: usize) -> [Words<N>; BLOCK_WORDS] {
        let mut bytes = [[[0; 4]; BLOCK_WORDS]; N];
        for (row, leaf) in bytes.iter_mut().zip(leaves) {
            *row = leaf.as_chunks().0.as_chunks().0[block];
        }
        let mut rows = [[0; BLOCK_WORDS]; N];
        for (word, bytes) in rows.as_flattened_mut().iter_mut().zip(bytes.as_flattened()) {
            *word = u32::from_be_bytes(*bytes);
        }

        let mut columns = [[0; N]; BLOCK_WORDS];
        let (mut from, mut to) = (rows.as_flattened_mut(), columns.as_flattened_mut());
        for _ in 0..N.ilog2() {
            let (low, high) = from.split_at(from.len() / 2);
            for ((pair, low), high) in to.as_chunks_mut().0.iter_mut().zip(low).zip(high) {
                *pair = [*low, *high];
            }
            std::mem::swap(&mut from, &mut to);
        }
        if N.ilog2().is_multiple_of(2) {
            to.copy_from_slice(from);
        }
        columns
    }

    /// Takes one block of every lane into the state.
    ///
    /// The lanes are one loop around ordinary scalar rounds. The rounds are unrolled by a macro and the arrays
    /// indexed by hand, because an inner loop or a call that is still there when the compiler looks (`map`,
    /// for one) keeps it from vectorising the loop around it.
    #[inline(always)]
    fn compress<const N: usize>(state: &mut [Words<N>; 8], mut schedule: [Words<N>; BLOCK_WORDS]) {
        let before = *state;
        for constants in ROUND_CONSTANTS.as_chunks::<BLOCK_WORDS>().0 {
            for lane in 0..N {
                let [mut a, mut b, mut c, mut d] = [state[0][lane], state[1][lane], state[2][lane], state[3][lane]];
                let [mut e, mut f, mut g, mut h] = [state[4][lane], state[5][lane], state[6][lane], state[7][lane]];
                let mut w = [0; BLOCK_WORDS];
                for t in 0..BLOCK_WORDS {
                    w[t] = schedule[t][lane];
                }

                // Each round also replaces the word it used by the one that is due 16 rounds later.
                macro_rules! rounds {
                    ($($t:literal)*) => {$(
                        let choice = (e & f) ^ (!e & g);
                        let majority = (a & b) ^ (a & c) ^ (b & c);
                        let t1 = h
                            .wrapping_add(e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25))
                            .wrapping_add(choice)
                            .wrapping_add(constants[$t])
                            .wrapping_add(w[$t]);
                        let t2 = (a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22))
                            .wrapping_add(majority);
                        [h, g, f, e, d, c, b, a] = [g, f, e, d.wrapping_add(t1), c, b, a, t1.wrapping_add(t2)];

                        let (w1, w14) = (w[($t + 1) % BLOCK_WORDS], w[($t + 14) % BLOCK_WORDS]);
                        w[$t] = w[$t]
                            .wrapping_add(w1.rotate_right(7) ^ w1.rotate_right(18) ^ (w1 >> 3))
                            .wrapping_add(w[($t + 9) % BLOCK_WORDS])
                            .wrapping_add(w14.rotate_right(17) ^ w14.rotate_right(19) ^ (w14 >> 10));
                    )*};
                }
                rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);

                let after = [a, b, c, d, e, f, g, h];
                for i in 0..8 {
                    state[i][lane] = after[i];
                }
                for t in 0..BLOCK_WORDS {
                    schedule[t][lane] = w[t];
                }
            }
        }
        // Flat, for the same reason: over rows the compiler gathers and scatters.
        for (word, before) in state.as_flattened_mut().iter_mut().zip(before.as_flattened()) {
            *word = word.wrapping_add(*before);
        }
    }

    /// FIPS 180-4, section 5.3.3.
    const INITIAL_STATE: [u32; 8] =
        [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

    /// FIPS 180-4, section 4.2.2.
    const ROUND_CONSTANTS: [u32; 64] = [
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
        0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
        0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
        0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
        0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
        0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
        0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2,
    ];
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVERY_KERNEL: [Kernel; 4] = Kernel::BY_SPEED;

    fn hashes_by(kernel: Kernel, data: &[u8]) -> Vec<Digest> {
        let mut hashes = Vec::new();
        hash_leaves_with(kernel, data, &mut hashes);
        hashes
    }

    /// Leaves that all differ, so that two swapped lanes are seen.
    fn data(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|i| (31 * i + 17 * (i >> 8) + 7 + (i >> 14)) as u8).collect()
    }

    #[test]
    fn every_kernel_gives_the_hashes_of_sha2_for_every_remainder() {
        let data = data(40 * LEAF_BYTES as usize + 5);
        for kernel in EVERY_KERNEL {
            for leaves in 0..=40 {
                for short in [0, 1, 5] {
                    let data = &data[..leaves * LEAF_BYTES as usize + short];
                    let expected: Vec<_> = data.chunks(LEAF_BYTES as usize).map(Digest::of).collect();
                    assert_eq!(hashes_by(kernel, data), expected, "{kernel}, {leaves} leaves and {short} bytes");
                }
            }
        }
    }

    #[test]
    fn hashes_are_appended() {
        let mut hashes = vec![Digest::ZERO];
        hash_leaves(b"abc", &mut hashes);
        assert_eq!(hashes, [Digest::ZERO, Digest::of(b"abc")]);
    }

    #[test]
    fn the_chosen_kernel_is_one_that_is_there_and_sha2_is_listed_once() {
        assert!(Kernel::available().any(|kernel| kernel == Kernel::detect()));
        let by_sha2 = Kernel::available().filter(|kernel| matches!(kernel, Kernel::ShaInstructions | Kernel::Scalar));
        assert_eq!(by_sha2.count(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_kernel_agrees_on_any_leaves(seeds in prop::collection::vec(any::<u64>(), 1..20), short in 0..100usize) {
            let mut data: Vec<u8> = seeds
                .iter()
                .flat_map(|&seed| (0..u64::from(LEAF_BYTES)).map(move |i| (seed.wrapping_mul(i | 1) >> 29) as u8))
                .collect();
            data.extend(std::iter::repeat_n(9, short));
            let expected: Vec<_> = data.chunks(LEAF_BYTES as usize).map(Digest::of).collect();
            for kernel in EVERY_KERNEL {
                prop_assert_eq!(&hashes_by(kernel, &data), &expected);
            }
        }
    }
}
