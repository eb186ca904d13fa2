//! Names of files and folders, which say what tags do not.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use choir_peer::library::describe::{self, Findings};
use choir_peer::library::path_tags::guess;
use choir_shared::Claim;
use choir_shared::claim::{Format, Kind};

/// A path: the name of the shared folder first, the name of the file last.
pub fn path_tags(path: &[u8]) {
    let text = String::from_utf8_lossy(path);
    let mut names = text.split('/').filter(|name| !name.is_empty());
    let share = names.next().unwrap_or_default();
    let relative: Vec<&str> = names.collect();
    let told = guess(share, &relative);
    for text in [&told.title, &told.artist, &told.album, &told.album_artist].into_iter().flatten() {
        assert!(!text.trim().is_empty(), "a text that says nothing, of {path:?}");
        assert!(text.len() <= text_limit(&relative, share), "a text that is longer than the path");
    }
    assert!(told.year.is_none_or(|year| (1900..2100).contains(&year)));

    let path = Path::new(OsStr::from_bytes(path));
    let findings = Findings { kind: Kind::Song, format: Format::default(), audio: None, tags: None, vbr: None };
    let claim = describe::claim(share, path, findings);
    assert_eq!(Claim::parse(claim.to_canonical_json().as_bytes()), Ok(claim));
}

/// Parts of names are told in other words only as "Various Artists".
fn text_limit(relative: &[&str], share: &str) -> usize {
    relative.iter().map(|name| name.len() + 3).sum::<usize>() + share.len() + "Various Artists".len()
}
