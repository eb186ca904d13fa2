//! Tags and sound formats, through a library that others wrote.

use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use choir_peer::library::describe::{self, Findings};
use choir_peer::library::tags as reader;
use choir_shared::Claim;
use choir_shared::claim::{Format, Kind};

/// The reader gives up after five seconds; slow machines get five times as many.
const PATIENCE: Duration = Duration::from_secs(25);

/// A whole file. Its tags may say anything, but what we say of it afterwards is a claim that every index accepts.
/// That memory is bounded is for whoever runs this to watch: cargo-fuzz does, and so does the replay.
pub fn tags(song: &[u8]) {
    let begun = Instant::now();
    let told = reader::read(Cursor::new(song));
    assert!(begun.elapsed() < PATIENCE, "the tags of {} bytes took {:?}", song.len(), begun.elapsed());
    assert_eq!(reader::read(Cursor::new(song)), told, "the same file says the same");

    let findings = Findings { kind: Kind::Song, format: Format::default(), audio: None, tags: told, vbr: None };
    let claim = describe::claim("Music", Path::new("Artist/Album/01 Title.mp3"), findings);
    assert_eq!(Claim::parse(claim.to_canonical_json().as_bytes()), Ok(claim));
}
