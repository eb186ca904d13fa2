//! Songs for tests, made on the fly.

/// What a song is made of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Song {
    pub(crate) seconds: u32,
    /// Makes the sound, and so the file, another one.
    pub(crate) seed: u32,
    pub(crate) title: Option<&'static str>,
    pub(crate) artist: Option<&'static str>,
}

const SAMPLE_RATE: u32 = 8000;

/// A WAV file of 16,000 bytes a second and its tags, if there are any.
pub(crate) fn wav(song: &Song) -> Vec<u8> {
    let chunk = |name: &[u8; 4], body: &[u8]| {
        let padding = if body.len() % 2 == 1 { &[0][..] } else { &[] };
        [name, &(body.len() as u32).to_le_bytes()[..], body, padding].concat()
    };
    let format =
        [&[1, 0, 1, 0][..], &SAMPLE_RATE.to_le_bytes(), &(2 * SAMPLE_RATE).to_le_bytes(), &[2, 0, 16, 0]].concat();
    let samples = song.seconds * SAMPLE_RATE;
    let sound: Vec<u8> = (0..samples)
        .flat_map(|n| ((n.wrapping_mul(song.seed.wrapping_mul(2_654_435_761) | 1) >> 16) as u16).to_le_bytes())
        .collect();
    let tag = |name: &[u8; 4], text: Option<&str>| {
        text.map(|text| chunk(name, format!("{text}\0").as_bytes())).unwrap_or_default()
    };
    let tags = [tag(b"INAM", song.title), tag(b"IART", song.artist)].concat();
    let list = if tags.is_empty() { vec![] } else { chunk(b"LIST", &[b"INFO", &tags[..]].concat()) };
    let body = [&b"WAVE"[..], &chunk(b"fmt ", &format), &list, &chunk(b"data", &sound)].concat();
    chunk(b"RIFF", &body)
}

/// A short song like no other of another seed, without tags.
pub(crate) fn song(seed: u32) -> Vec<u8> {
    wav(&Song { seconds: 1, seed, ..Song::default() })
}
