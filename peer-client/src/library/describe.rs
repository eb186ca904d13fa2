//! What we say of a file of ours: its tags, completed by its path.
//!
//! - **A title tag settles it.** Then the path only fills in what is missing, and only from a structure that is
//!   rarely anything else (`Artist/Album/Title`); a wrong artist is worse than none.
//! - **Without a title tag** the path speaks, and tags that are there overrule it.

use std::path::Path;

use choir_shared::Claim;
use choir_shared::audio::AudioId;
use choir_shared::claim::{Format, Kind, Origin};

use super::path_tags::{self, PathTags};

/// Raised whenever files should be described again although they did not change: their hashes are kept, and only
/// their tags are read.
pub(crate) const DESCRIBER_VERSION: u32 = 1;

/// What was found in a file.
#[derive(Debug)]
pub struct Findings {
    pub kind: Kind,
    pub format: Format,
    pub audio: Option<AudioId>,
    /// What its tags say, if they can be read.
    pub tags: Option<Claim>,
    pub vbr: Option<bool>,
}

/// The claim for a file at `relative` of the share that is called `share`.
pub fn claim(share: &str, relative: &Path, findings: Findings) -> Claim {
    let names: Vec<_> = relative.iter().map(|name| name.to_string_lossy()).collect();
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let mut claim = Claim {
        kind: findings.kind,
        format: findings.format,
        audio: findings.audio,
        vbr: findings.vbr,
        file_name: names.last().map(|&name| name.to_owned()),
        ..findings.tags.unwrap_or_default()
    };
    if claim.kind == Kind::Song {
        complete(&mut claim, path_tags::guess(share, &names));
    }
    claim.clamp()
}

fn complete(claim: &mut Claim, path: PathTags) {
    claim.origin = Some(if claim.title.is_some() { Origin::Tags } else { Origin::Path });
    if claim.title.is_some() && !path.solid {
        return;
    }
    // The album of another artist is another album.
    if claim.artist.is_none() && claim.album_artist.is_none() {
        claim.artist = path.artist;
    }
    if claim.album.is_none() {
        claim.album = path.album;
        claim.album_artist = claim.album_artist.take().or(path.album_artist);
        claim.compilation = claim.compilation.or_else(|| path.compilation.then_some(true));
    }
    claim.title = claim.title.take().or(path.title);
    claim.track = claim.track.or(path.track);
    claim.disc = claim.disc.or(path.disc);
    claim.year = claim.year.or(path.year);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(path: &str, tags: Option<Claim>) -> Claim {
        let findings = Findings { kind: Kind::Song, format: Format::new("ogg").unwrap(), audio: None, tags, vbr: None };
        claim("Music", Path::new(path), findings)
    }

    fn texts(claim: &Claim) -> [Option<&str>; 3] {
        [claim.artist.as_deref(), claim.album.as_deref(), claim.title.as_deref()]
    }

    fn tags(artist: Option<&str>, title: Option<&str>) -> Option<Claim> {
        Some(Claim {
            artist: artist.map(str::to_owned),
            title: title.map(str::to_owned),
            year: Some(1999),
            ..Claim::default()
        })
    }

    #[test]
    fn without_tags_the_path_speaks() {
        let claim = described("Anna/Tides/03 Ebb.ogg", None);
        assert_eq!(texts(&claim), [Some("Anna"), Some("Tides"), Some("Ebb")]);
        assert_eq!(
            (claim.track, claim.origin, claim.file_name.as_deref()),
            (Some(3), Some(Origin::Path), Some("03 Ebb.ogg"))
        );
    }

    #[test]
    fn a_title_tag_settles_it_and_only_solid_paths_fill_gaps() {
        let solid = described("Anna/Tides/03 Ebb.ogg", tags(None, Some("Low Water")));
        assert_eq!(texts(&solid), [Some("Anna"), Some("Tides"), Some("Low Water")]);
        assert_eq!((solid.origin, solid.track, solid.year), (Some(Origin::Tags), Some(3), Some(1999)));

        let weak = described("Beach/Ebb.ogg", tags(None, Some("Low Water")));
        assert_eq!(texts(&weak), [None, None, Some("Low Water")]);
    }

    #[test]
    fn tags_that_are_there_overrule_the_path() {
        let claim = described("Anna/Tides/03 Ebb.ogg", tags(Some("Anna & Bo"), None));
        assert_eq!(texts(&claim), [Some("Anna & Bo"), Some("Tides"), Some("Ebb")]);
        assert_eq!(claim.origin, Some(Origin::Path));
    }

    #[test]
    fn names_that_are_no_text_and_far_too_long_still_make_a_claim_that_others_accept() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let name = [&b"Artist/"[..], &[b'a'; 3000], b"/\xff\xfe\x07 - \xc3.ogg"].concat();
        let findings = Findings { kind: Kind::Song, format: Format::default(), audio: None, tags: None, vbr: None };
        let claim = claim("Music", Path::new(OsStr::from_bytes(&name)), findings);
        assert_eq!(Claim::parse(claim.to_canonical_json().as_bytes()).unwrap(), claim);
    }
}
