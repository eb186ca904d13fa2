//! Reading the tags and the sound format of a song that anybody may have made.
//!
//! - **Nothing that a file does stops a scan.** A parser can be led in circles, so it reads through a [`Budget`] that
//!   fails after so many bytes or so much time; it can be told to allocate, so the allocations have a limit; it can
//!   panic, which is caught. In each case the song is shared without what its tags would have said.
//! - **Pictures are skipped**, most of the bytes of most tags.
//! - **All tags of a file count**, the format's own before others: an MP3 may have its album only in the old one.
//! - **`Unknown Artist` is no artist.** What programs write when they know nothing is taken as missing.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use choir_shared::Claim;
use lofty::config::{GlobalOptions, ParseOptions, apply_global_options};
use lofty::file::{AudioFile, TaggedFile, TaggedFileExt};
use lofty::probe::Probe;
use lofty::tag::{ItemKey, Tag};

/// The longest tags are those with pictures, and pictures are skipped by seeking.
const MAX_READ_BYTES: u64 = 64 << 20;

/// A slow network drive reads a tag in a second.
const MAX_READ_TIME: Duration = Duration::from_secs(5);

/// Of any single item of a tag. What is larger is a picture, and skipped, in all formats but M4A, where the whole
/// tag is one item: a cover of this size is the limit there.
const MAX_ITEM_BYTES: usize = 16 << 20;

/// What the tags and the sound format of a song say, all else left empty; nothing if it cannot be read.
pub fn read(song: impl Read + Seek) -> Option<Claim> {
    // The limit belongs to the thread, and every scan may run on another.
    apply_global_options(GlobalOptions::new().allocation_limit(MAX_ITEM_BYTES).preserve_format_specific_items(false));
    let source = Budget::new(BufReader::new(song), MAX_READ_BYTES, MAX_READ_TIME);
    let parsed = catch_unwind(AssertUnwindSafe(|| {
        let options = ParseOptions::new().read_cover_art(false);
        Probe::new(source).options(options).guess_file_type().ok()?.read().ok()
    }));
    Some(claim(&parsed.ok()??))
}

fn claim(song: &TaggedFile) -> Claim {
    let tags: Vec<&Tag> = song.primary_tag().into_iter().chain(song.tags()).collect();
    let text = |key| tags.iter().find_map(|tag| joined(tag, key));
    let number = |key| text(key).and_then(|text| leading_number(&text));
    let sound = song.properties();
    let positive = |number: Option<u32>| number.filter(|&number| number > 0);
    Claim {
        title: text(ItemKey::TrackTitle).filter(|title| !is_placeholder_title(title)),
        artist: text(ItemKey::TrackArtist).filter(|artist| !is_placeholder(artist)),
        album: text(ItemKey::AlbumTitle).filter(|album| !is_placeholder(album)),
        album_artist: text(ItemKey::AlbumArtist).filter(|artist| !is_placeholder(artist)),
        track: number(ItemKey::TrackNumber),
        track_total: positive(number(ItemKey::TrackTotal).or_else(|| total(&text(ItemKey::TrackNumber)?))),
        disc: number(ItemKey::DiscNumber),
        disc_total: positive(number(ItemKey::DiscTotal).or_else(|| total(&text(ItemKey::DiscNumber)?))),
        year: [ItemKey::RecordingDate, ItemKey::Year, ItemKey::ReleaseDate, ItemKey::OriginalReleaseDate]
            .into_iter()
            .find_map(|key| year(&text(key)?)),
        genre: text(ItemKey::Genre),
        compilation: text(ItemKey::FlagCompilation).and_then(|flag| flag_value(&flag)),
        mb_recording: text(ItemKey::MusicBrainzRecordingId),
        mb_release: text(ItemKey::MusicBrainzReleaseId),
        duration_ms: u64::try_from(sound.duration().as_millis()).ok().filter(|&duration| duration > 0),
        bitrate_kbps: positive(sound.audio_bitrate().or_else(|| sound.overall_bitrate())),
        sample_rate_hz: positive(sound.sample_rate()),
        bit_depth: positive(sound.bit_depth().map(u32::from)),
        channels: positive(sound.channels().map(u32::from)),
        ..Claim::default()
    }
}

/// All values of an item, most tags having one.
fn joined(tag: &Tag, key: ItemKey) -> Option<String> {
    // Some formats separate several values by zeros, and some writers end one so.
    let values = tag.get_strings(key).flat_map(|value| value.split('\0')).map(str::trim);
    let mut distinct: Vec<&str> = Vec::new();
    for value in values.filter(|value| !value.is_empty()) {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    (!distinct.is_empty()).then(|| distinct.join(", "))
}

/// `3` and `3/12`.
fn leading_number(text: &str) -> Option<u32> {
    text.split('/').next()?.trim().parse().ok()
}

fn total(text: &str) -> Option<u32> {
    text.split('/').nth(1)?.trim().parse().ok()
}

/// `2003`, `2003-05-01`, `01.05.2003`.
fn year(text: &str) -> Option<u32> {
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| digits.len() == 4);
    numbers.filter_map(|digits| digits.parse().ok()).find(|&year| year > 0)
}

fn flag_value(text: &str) -> Option<bool> {
    match text {
        "1" | "true" | "yes" => Some(true),
        "0" | "false" | "no" => Some(false),
        _ => None,
    }
}

fn is_placeholder(text: &str) -> bool {
    let bare = text.trim_matches(|c| matches!(c, '<' | '>' | '[' | ']' | '(' | ')' | ' ')).to_lowercase();
    let names =
        ["unknown", "unknown artist", "unknown album", "unknown title", "no artist", "no album", "artist", "album"];
    bare.is_empty() || names.contains(&bare.as_str())
}

/// `Track 03` too, which rippers write; the name of the file cannot say less.
fn is_placeholder_title(text: &str) -> bool {
    let lower = text.to_lowercase();
    let numbered = lower.strip_prefix("track").or_else(|| lower.strip_prefix("audiotrack"));
    let only_a_number = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '#' | '_' | '-'));
    is_placeholder(text) || matches!(lower.as_str(), "untitled" | "title") || numbered.is_some_and(only_a_number)
}

/// A reader that fails once it has been asked for too much.
struct Budget<R> {
    inner: R,
    bytes: u64,
    deadline: Instant,
}

impl<R> Budget<R> {
    fn new(inner: R, bytes: u64, time: Duration) -> Self {
        Self { inner, bytes, deadline: Instant::now() + time }
    }

    fn spend(&mut self, bytes: u64) -> io::Result<()> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(io::ErrorKind::FileTooLarge)?;
        if Instant::now() > self.deadline { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        // An empty read costs as well, or a loop of them would be free.
        self.spend(read.max(1) as u64)?;
        Ok(read)
    }
}

impl<R: Seek> Seek for Budget<R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.spend(1)?;
        self.inner.seek(position)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        self.spend(1)?;
        self.inner.stream_position()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::super::fixture;
    use super::*;

    /// An ID3v2.3 tag with one frame, whose sizes may lie.
    fn id3(frame: &[u8; 4], claimed: u32, body: &[u8]) -> Vec<u8> {
        let tag_size = claimed + 10;
        let syncsafe = [tag_size >> 21, tag_size >> 14, tag_size >> 7, tag_size].map(|bits| (bits & 0x7f) as u8);
        [&b"ID3\x03\0\0"[..], &syncsafe, frame, &claimed.to_be_bytes(), &[0, 0], body].concat()
    }

    #[test]
    fn the_tags_and_the_sound_of_a_song_are_read() {
        let wav = fixture::wav(&fixture::Song {
            seconds: 2,
            title: Some("Tide"),
            artist: Some("Anna"),
            ..fixture::Song::default()
        });
        let claim = read(Cursor::new(wav)).unwrap();
        assert_eq!((claim.title.as_deref(), claim.artist.as_deref()), (Some("Tide"), Some("Anna")));
        assert_eq!(
            (claim.duration_ms, claim.sample_rate_hz, claim.bit_depth, claim.channels),
            (Some(2000), Some(8000), Some(16), Some(1))
        );
    }

    #[test]
    fn a_song_whose_tag_claims_200_megabytes_or_is_cut_short_is_only_untagged() {
        let title = |claim: Option<Claim>| claim.and_then(|claim| claim.title);
        assert_eq!(title(read(Cursor::new(id3(b"TIT2", 200 << 20, b"\0Song")))), None);
        assert_eq!(title(read(Cursor::new(id3(b"TIT2", 5000, b"\0Song")))), None);
        assert_eq!(title(read(Cursor::new(vec![0; 100_000]))), None);
        assert_eq!(title(read(Cursor::new(b"ID3".to_vec()))), None);
    }

    #[test]
    fn a_huge_cover_does_not_cost_the_title() {
        let frame =
            |name: &[u8; 4], body: &[u8]| [&name[..], &(body.len() as u32).to_be_bytes(), &[0, 0], body].concat();
        let cover = [&b"\0image/jpeg\0\x03\0"[..], &vec![0xff; 20 << 20]].concat();
        let frames = [frame(b"APIC", &cover), frame(b"TIT2", b"\0Song")].concat();
        let size = frames.len() as u32;
        let syncsafe = [size >> 21, size >> 14, size >> 7, size].map(|bits| (bits & 0x7f) as u8);
        let sound: Vec<u8> =
            std::iter::repeat_n([&[0xff, 0xfb, 0x90, 0x64][..], &[0; 413]].concat(), 40).flatten().collect();
        let song = [&b"ID3\x03\0\0"[..], &syncsafe, &frames, &sound].concat();
        assert_eq!(read(Cursor::new(song)).unwrap().title.as_deref(), Some("Song"));
    }

    #[test]
    fn a_reader_that_is_led_in_circles_comes_to_an_end() {
        let mut budget = Budget::new(Cursor::new(vec![0; 100]), 1000, Duration::from_secs(3600));
        let mut bytes = 0;
        let error = loop {
            budget.inner.set_position(0);
            match budget.read(&mut [0; 30]) {
                Ok(read) => bytes += read,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(bytes <= 1000);

        let mut late = Budget::new(Cursor::new(vec![0; 100]), 1000, Duration::ZERO);
        while Instant::now() <= late.deadline {}
        assert_eq!(late.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn what_programs_write_when_they_know_nothing_is_nothing() {
        for text in ["Unknown Artist", "<unknown>", "[Unknown Album]", " "] {
            assert!(is_placeholder(text), "{text}");
        }
        for title in ["Track 03", "track_3", "Untitled", "AudioTrack 12", "Unknown"] {
            assert!(is_placeholder_title(title), "{title}");
        }
        for title in ["Tracks of My Tears", "Unknown Pleasures", "1979"] {
            assert!(!is_placeholder_title(title), "{title}");
        }
    }

    #[test]
    fn years_and_totals_are_found_in_what_people_write() {
        assert_eq!(
            ["2003", "2003-05-01", "01.05.2003", "c. 1901", "0000", "03"].map(year),
            [Some(2003), Some(2003), Some(2003), Some(1901), None, None]
        );
        assert_eq!((leading_number("3/12"), total("3/12"), total("3")), (Some(3), Some(12), None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn junk_of_every_format_is_survived(magic in prop::sample::select(vec![
            &b"ID3\x03\0\0\0\0\x10\0"[..], b"fLaC\0\0\0\x22", b"OggS\0\x02", b"RIFF\xff\xff\xff\xffWAVE", b"FORM\0\0\xff\xffAIFF",
            b"\0\0\0\x20ftypM4A ", b"wvpk", b"MAC ", b"MPCK", &[0xff, 0xfb, 0x90, 0x64],
        ]), junk in prop::collection::vec(any::<u8>(), 0..2000)) {
            read(Cursor::new([magic, &junk].concat()));
        }
    }
}
