//! How many hold each file: a counter and a bit per file, read without a lock.
//!
//! Files have dense numbers, so the counters are an array; it grows by chunks that never move, and a chunk nobody
//! has anything in does not exist. The bits repeat whether the counter is more than zero, thirty-two times smaller, so
//! that those of ten million files fit the processor's cache.
//!
//! Readers may run beside one writer; that there is only one is what [`Online`](super::Online)'s lock is for. Each
//! number stands alone, so no order among them is needed (`Relaxed`).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::store::FileNo;

/// Files in a chunk: 264 KiB.
const CHUNK: usize = 1 << 16;

/// Enough chunks for every number: 1 MiB of pointers.
const CHUNKS: usize = (u32::MAX as usize + 1) / CHUNK;

pub(super) struct Counters {
    chunks: Box<[OnceLock<Box<Chunk>>]>,
    /// Files whose counter is more than zero.
    files: AtomicU64,
}

struct Chunk {
    counts: Box<[AtomicU32]>,
    bits: Box<[AtomicU64]>,
}

impl Default for Counters {
    fn default() -> Self {
        Self { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(), files: AtomicU64::new(0) }
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self {
            counts: (0..CHUNK).map(|_| AtomicU32::new(0)).collect(),
            bits: (0..CHUNK / 64).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Counters {
    pub(super) fn count(&self, file: FileNo) -> u32 {
        self.chunk(file).and_then(|chunk| chunk.count(file)).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub(super) fn is_any(&self, file: FileNo) -> bool {
        let bits = self.chunk(file).and_then(|chunk| chunk.bits(file));
        bits.is_some_and(|bits| bits.load(Ordering::Relaxed) & mask(file) != 0)
    }

    pub(super) fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// To be called by one thread at a time.
    pub(super) fn increment(&self, file: FileNo) {
        let Some(chunk) = self.chunks.get(file.0 as usize / CHUNK) else { return };
        let chunk = chunk.get_or_init(Box::default);
        if let (Some(count), Some(bits)) = (chunk.count(file), chunk.bits(file))
            && count.fetch_add(1, Ordering::Relaxed) == 0
        {
            bits.fetch_or(mask(file), Ordering::Relaxed);
            self.files.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// To be called by one thread at a time, once for each increment at most.
    pub(super) fn decrement(&self, file: FileNo) {
        let Some(chunk) = self.chunk(file) else { return };
        if let (Some(count), Some(bits)) = (chunk.count(file), chunk.bits(file))
            && count.fetch_sub(1, Ordering::Relaxed) == 1
        {
            bits.fetch_and(!mask(file), Ordering::Relaxed);
            self.files.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn chunk(&self, file: FileNo) -> Option<&Chunk> {
        self.chunks.get(file.0 as usize / CHUNK)?.get().map(Box::as_ref)
    }
}

impl Chunk {
    fn count(&self, file: FileNo) -> Option<&AtomicU32> {
        self.counts.get(file.0 as usize % CHUNK)
    }

    fn bits(&self, file: FileNo) -> Option<&AtomicU64> {
        self.bits.get(file.0 as usize % CHUNK / 64)
    }
}

fn mask(file: FileNo) -> u64 {
    1 << (file.0 % 64)
}
