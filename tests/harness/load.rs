//! A crowd for an index: songs that nobody made, peers that are only a key and a connection, and what they search for.
//!
//! - [`corpus`] has the songs: each is computed from its number, so that ten million need no room.
//! - [`queries`] has what people type who look for them.
//! - [`liars`] has many keys tell one lie.
//! - [`wire`] is the least of an HTTP client and of a WebSocket client, because generator and index share processors.
//! - [`peer`] logs in, publishes, and stays online.
//! - [`plain`] reads the same search index without any of our own search: plain `TopDocs`, and a scan of every match.

pub mod corpus;
pub mod liars;
pub mod peer;
pub mod plain;
pub mod queries;
pub mod wire;

/// Deterministic chance (SplitMix64, Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The same numbers for the same seeds.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut chance = Self(seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93));
        chance.next();
        chance
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from 0 to 1.
    pub const fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Below `end`, which is not 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub const fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// A rank below `end` by Zipf's law with Mandelbrot's shift: the chance of rank r goes as 1 ÷ (r + shift).
    pub fn zipf(&mut self, end: u64, shift: f64) -> u64 {
        let rank = shift * ((end as f64 + shift) / shift).powf(self.fraction()) - shift;
        (rank as u64).min(end - 1)
    }
}
