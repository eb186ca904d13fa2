//! Which files are shared: by their name, and then by their first bytes.
//!
//! The name decides what a file claims to be, without touching it. Its first bytes must agree, so that a letter named
//! `song.mp3` stays at home, and a file of zeros from a broken disk is not offered to anybody. The bytes are only
//! looked at, not parsed: a broken song is a song.

use std::ffi::OsStr;
use std::path::Path;

use choir_shared::claim::{Format, Kind};

/// How many of a file's first bytes [`FileKind::format`] wants to see. MP3s that were cut from a stream or padded by
/// an editor begin with up to this many zeros.
pub(crate) const HEAD_BYTES: usize = 4096;

/// Scans of a booklet are larger and no use as a cover.
const MAX_COVER_BYTES: u64 = 10 << 20;

/// A rip log has a few kilobytes; what is larger is something else.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// What a file claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileKind {
    pub(crate) kind: Kind,
    extension: &'static str,
}

impl FileKind {
    /// `None` for files that are never shared.
    pub(crate) fn of_name(name: &OsStr) -> Option<Self> {
        let extension = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
        KINDS.iter().find(|known| known.extension == extension).copied()
    }

    /// The most bytes that such a file may have to be shared.
    pub(crate) const fn max_bytes(self) -> u64 {
        match self.kind {
            Kind::Song => choir_shared::leaf::MAX_FILE_BYTES,
            Kind::Cover => MAX_COVER_BYTES,
            Kind::Companion => MAX_TEXT_BYTES,
        }
    }

    /// The format of the file that begins with `head`, unless it is not what its name says.
    pub(crate) fn format(self, head: &[u8]) -> Option<Format> {
        let name = match self.extension {
            "ogg" if is_ogg(head, b"OpusHead") => "opus",
            "opus" if is_ogg(head, b"\x01vorbis") => "ogg",
            "aif" => "aiff",
            "jpeg" => "jpg",
            // A FLAC file that somebody renamed plays everywhere, and is looked for as what it is.
            "mp3" | "ogg" if head.starts_with(b"fLaC") => "flac",
            extension if has_magic(extension, head) => extension,
            _ => return None,
        };
        Format::new(name).ok()
    }
}

const fn song(extension: &'static str) -> FileKind {
    FileKind { kind: Kind::Song, extension }
}

const fn cover(extension: &'static str) -> FileKind {
    FileKind { kind: Kind::Cover, extension }
}

const fn text(extension: &'static str) -> FileKind {
    FileKind { kind: Kind::Companion, extension }
}

const KINDS: [FileKind; 28] = [
    song("mp3"),
    song("flac"),
    song("ogg"),
    song("opus"),
    song("m4a"),
    song("aac"),
    song("alac"),
    song("wav"),
    song("aiff"),
    song("aif"),
    song("wv"),
    song("ape"),
    song("mpc"),
    song("dsf"),
    song("dff"),
    song("tta"),
    song("wma"),
    song("mka"),
    cover("jpg"),
    cover("jpeg"),
    cover("png"),
    cover("webp"),
    text("cue"),
    text("log"),
    text("m3u"),
    text("m3u8"),
    text("nfo"),
    text("txt"),
];

fn has_magic(extension: &str, head: &[u8]) -> bool {
    let tagged = head.starts_with(b"ID3") || head.starts_with(b"APETAGEX");
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let iff = |outer: &[u8], inner: &[u8]| at(0, outer) && at(8, inner);
    match extension {
        "mp3" => tagged || begins_with_mpeg_frame(head) || iff(b"RIFF", b"WAVE"),
        "flac" => tagged || at(0, b"fLaC"),
        "ogg" | "opus" => at(0, b"OggS"),
        "m4a" | "alac" => at(4, b"ftyp"),
        "aac" => tagged || at(0, b"ADIF") || at(4, b"ftyp") || is_adts(head),
        "wav" => iff(b"RIFF", b"WAVE") || iff(b"RF64", b"WAVE") || iff(b"BW64", b"WAVE"),
        "aiff" | "aif" => iff(b"FORM", b"AIFF") || iff(b"FORM", b"AIFC"),
        "wv" => at(0, b"wvpk"),
        "ape" => tagged || at(0, b"MAC "),
        "mpc" => tagged || at(0, b"MPCK") || at(0, b"MP+"),
        "dsf" => at(0, b"DSD "),
        "dff" => at(0, b"FRM8"),
        "tta" => tagged || at(0, b"TTA"),
        "wma" => at(0, &[0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11]),
        "mka" => at(0, &[0x1a, 0x45, 0xdf, 0xa3]),
        "jpg" | "jpeg" => at(0, &[0xff, 0xd8, 0xff]),
        "png" => at(0, b"\x89PNG\r\n\x1a\n"),
        "webp" => iff(b"RIFF", b"WEBP"),
        "cue" | "log" | "m3u" | "m3u8" | "nfo" | "txt" => !head.is_empty(),
        _ => false,
    }
}

/// The first packet of an Ogg stream begins after a page header of 27 bytes and a table of one entry.
fn is_ogg(head: &[u8], packet: &[u8]) -> bool {
    head.starts_with(b"OggS") && head.get(28..).is_some_and(|rest| rest.starts_with(packet))
}

/// The header of a frame of any layer, perhaps after zeros.
fn begins_with_mpeg_frame(head: &[u8]) -> bool {
    let start = head.iter().position(|&byte| byte != 0).unwrap_or(head.len());
    let Some(&[first, second, third]) = head.get(start..).and_then(|rest| rest.first_chunk::<3>()) else {
        return false;
    };
    let sync = first == 0xff && second & 0xe0 == 0xe0;
    let version_exists = second >> 3 & 3 != 1;
    let layer_exists = second >> 1 & 3 != 0;
    sync && version_exists && layer_exists && third >> 4 != 15 && third >> 2 & 3 != 3
}

/// Twelve bits of sync, and layer zero.
fn is_adts(head: &[u8]) -> bool {
    matches!(head, [0xff, second, ..] if second & 0xf6 == 0xf0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(name: &str, head: &[u8]) -> Option<String> {
        FileKind::of_name(name.as_ref())?.format(head).map(String::from)
    }

    #[test]
    fn name_and_first_bytes_must_agree() {
        let opus = [b"OggS".as_slice(), &[0; 24], b"OpusHead"].concat();
        let vorbis = [b"OggS".as_slice(), &[0; 24], b"\x01vorbis"].concat();
        let accepted: [(&str, &[u8], &str); 15] = [
            ("a.mp3", b"ID3\x04", "mp3"),
            ("a.MP3", &[0xff, 0xfb, 0x90, 0x64], "mp3"),
            ("padded.mp3", &[0, 0, 0, 0xff, 0xf3, 0x40, 0xc0], "mp3"),
            ("a.mp3", b"fLaC\0", "flac"),
            ("a.flac", b"fLaC\0", "flac"),
            ("a.ogg", &vorbis, "ogg"),
            ("a.ogg", &opus, "opus"),
            ("a.opus", &opus, "opus"),
            ("a.m4a", b"\0\0\0\x20ftypM4A ", "m4a"),
            ("a.aif", b"FORM\0\0\0\0AIFF", "aiff"),
            ("a.wav", b"RIFF\0\0\0\0WAVEfmt ", "wav"),
            ("a.aac", &[0xff, 0xf1, 0x50], "aac"),
            ("cover.jpeg", &[0xff, 0xd8, 0xff, 0xe0], "jpg"),
            ("cover.webp", b"RIFF\0\0\0\0WEBP", "webp"),
            ("rip.LOG", b"EAC", "log"),
        ];
        for (name, head, expected) in accepted {
            assert_eq!(format(name, head).as_deref(), Some(expected), "{name}");
        }
        let refused: [(&str, &[u8]); 9] = [
            ("zeros.mp3", &[0; HEAD_BYTES]),
            ("letter.mp3", b"Dear Anna, "),
            ("empty.mp3", b""),
            ("a.ogg", b"RIFF\0\0\0\0WAVE"),
            ("a.wav", b"RIFF\0\0\0\0WEBP"),
            ("cover.png", b"<html>"),
            ("film.mkv", &[0x1a, 0x45, 0xdf, 0xa3]),
            ("passwords", b"hunter2"),
            ("program.exe", b"MZ"),
        ];
        for (name, head) in refused {
            assert_eq!(format(name, head), None, "{name}");
        }
    }
}
