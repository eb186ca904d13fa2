//! Bytes that differ a little from those of a corpus, as a fuzzer would try them, but the same every time.

/// What parsers stumble over: the ends of numbers, markers, characters that hide, turn or grow when they are folded.
const TEMPTING: &[&[u8]] = &[
    b"\0",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\xff\xff\xff\xff",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"0",
    b"-1",
    b"00",
    b"1e9",
    b"4294967296",
    b"17179869184",
    b"17179869185",
    b"18446744073709551615",
    b"18446744073709551616",
    b"null",
    b"{}",
    b"[]",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"/",
    b"..",
    b" ",
    b"\n",
    b"\r\n",
    b"%",
    b"%00",
    b"?",
    b"&",
    b":",
    b"=",
    b"ID3\x04\0\0\0\0\0\0",
    b"TAG",
    b"APETAGEX",
    b"fLaC",
    b"data",
    "\u{2028}".as_bytes(),
    "\u{202e}".as_bytes(),
    "\u{200b}".as_bytes(),
    "\u{200d}".as_bytes(),
    "\u{feff}".as_bytes(),
    "\u{301}".as_bytes(),
    "\u{345}".as_bytes(),
    "\u{3099}".as_bytes(),
    "\u{130}".as_bytes(),
    "\u{fdfa}".as_bytes(),
    "\u{ff0f}".as_bytes(),
    "\u{1f468}\u{200d}\u{1f469}".as_bytes(),
    "\u{10ffff}".as_bytes(),
];

/// What is longer tells nothing that a shorter one does not.
const MAX_BYTES: usize = 1 << 16;

pub(crate) struct Mutations {
    seeds: Vec<Vec<u8>>,
    /// xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled".
    state: u64,
}

impl Mutations {
    /// Other ones for each name.
    pub(crate) fn of(seeds: Vec<Vec<u8>>, name: &str) -> Self {
        // FNV-1a, which is zero for no name that a target has.
        let state = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self { seeds, state }
    }

    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as usize % end.max(1)
    }

    fn seed(&mut self) -> Vec<u8> {
        let number = self.below(self.seeds.len());
        self.seeds[number].clone()
    }

    /// A few neighbouring bytes, seldom many.
    fn stretch(&mut self, bytes: usize) -> std::ops::Range<usize> {
        let start = self.below(bytes + 1);
        let longest = 1 << self.below(10);
        let length = self.below(longest) + 1;
        start..bytes.min(start + length)
    }

    fn edit(&mut self, bytes: &mut Vec<u8>) {
        let at = self.stretch(bytes.len());
        match self.below(8) {
            0 if !at.is_empty() => bytes[at.start] ^= 1 << self.below(8),
            1 if !at.is_empty() => bytes[at.start] = self.below(256) as u8,
            2 => drop(bytes.drain(at)),
            3 => {
                let copy = bytes[at].to_vec();
                let to = self.below(bytes.len() + 1);
                drop(bytes.splice(to..to, copy));
            }
            4 => bytes.truncate(at.start),
            5 => {
                let other = self.seed();
                let from = self.stretch(other.len());
                drop(bytes.splice(at, other[from].iter().copied()));
            }
            6 => {
                let tempting = TEMPTING[self.below(TEMPTING.len())];
                drop(bytes.splice(at.start..at.start, tempting.iter().copied()));
            }
            _ => {
                let tempting = TEMPTING[self.below(TEMPTING.len())];
                let end = bytes.len().min(at.start + tempting.len());
                drop(bytes.splice(at.start..end, tempting.iter().copied()));
            }
        }
    }
}

impl Iterator for Mutations {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut bytes = self.seed();
        for _ in 0..=self.below(4) {
            self.edit(&mut bytes);
        }
        bytes.truncate(MAX_BYTES);
        Some(bytes)
    }
}
