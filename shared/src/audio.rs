//! The part of a song that tag editors leave alone, and its name.
//!
//! Two people's copies of a song usually differ in their tags and in nothing else. So beside its
//! [`FileId`](crate::FileId) a song may have an [`AudioId`]: the Merkle root of its audio alone, with leaves
//! counted from where the audio begins. It groups copies, and never replaces the name of a file where bytes are
//! asked for.
//!
//! Where the audio lies is decided by the bytes, never by the name of the file:
//!
//! - **In front** ID3v2 and APEv2 tags are skipped, several in a row if need be: editors append to what they do
//!   not understand.
//! - **MP3** is then recognised by the header of a Layer III frame, and its audio reaches to the tags at the end.
//!   Other layers are left out: nobody shares them, and a text in UTF-16 begins like a Layer I frame.
//! - **FLAC** is then recognised by its marker, and its audio begins after the metadata blocks, which hold the
//!   tags and the pictures.
//! - **WAV** keeps its audio in the chunk called `data`. The size there is often wrong (a program that writes to
//!   a pipe cannot know it), so it ends with the file at the latest.
//! - **At the end** of MP3 and FLAC, tags are cut off for as long as there is one, in whatever order: ID3v1 and
//!   its extension, APEv2, Lyrics3v2, ID3v2 with a footer. Each is recognised by itself, so audio that happens to
//!   end like a tag loses those bytes in every copy alike, and its name remains the same.
//! - **Anything else has no audio identity,** nor has a file that contradicts itself. That costs a grouping;
//!   a wrong guess would cost the same, so nothing here is worth being clever about.
//!
//! Every walk has a limit, so no file can keep the scan busy.

use std::io;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::leaf::{FileLength, InvalidLength};
use crate::merkle::{HashedFile, TreeHasher};

/// Names the audio in a file: what it is, and where in this copy it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AudioId {
    /// The Merkle root of the audio as if it were a file. Equal in copies that differ only in their tags.
    pub root: Digest,
    /// Where the audio begins in its file.
    pub offset: u64,
    pub length: FileLength,
}

impl AudioId {
    /// Whether a file of this length has the bytes that this names. A stranger's claim need not.
    pub fn lies_in(&self, file: FileLength) -> bool {
        AudioSpan { offset: self.offset, length: self.length }.lies_in(file)
    }
}

/// Where in a file its audio lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSpan {
    pub offset: u64,
    pub length: FileLength,
}

impl AudioSpan {
    fn between(start: u64, end: u64) -> Option<Self> {
        let length = FileLength::new(end.checked_sub(start)?).ok()?;
        Some(Self { offset: start, length })
    }

    /// What of `bytes`, which begin at `position` of the file, belongs to the span.
    fn part_of<'a>(&self, bytes: &'a [u8], position: u64) -> &'a [u8] {
        let within = |offset: u64| offset.saturating_sub(position).min(bytes.len() as u64) as usize;
        let end = self.offset.saturating_add(self.length.bytes());
        bytes.get(within(self.offset)..within(end)).unwrap_or_default()
    }

    fn lies_in(self, file: FileLength) -> bool {
        self.offset.checked_add(self.length.bytes()).is_some_and(|end| end <= file.bytes())
    }
}

/// Finds the audio of a file of this length.
///
/// `read` fills its buffer from an offset, as `read_exact_at` of a file does, and is only asked for bytes inside
/// the length. Its errors are passed on.
pub fn locate(length: FileLength, read: impl FnMut(&mut [u8], u64) -> io::Result<()>) -> io::Result<Option<AudioSpan>> {
    let mut file = File { length: length.bytes(), read };
    let start = file.end_of_tags_in_front()?;
    let start = match &file.bytes_at::<4>(start)? {
        b"RIFF" if start == 0 => return file.wav_data(),
        b"fLaC" => file.first_flac_frame(start + 4)?,
        header => is_layer_3_header(header).then_some(start),
    };
    let Some(start) = start else { return Ok(None) };
    let end = file.start_of_tags_at_end(start)?;
    Ok(AudioSpan::between(start, end))
}

/// A song as its bytes tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedSong {
    pub file: HashedFile,
    pub audio: Option<AudioId>,
}

/// Hashes a file and the audio in it, while reading it once.
#[derive(Debug)]
pub struct SongHasher {
    length: FileLength,
    position: u64,
    file: TreeHasher,
    audio: Audio,
}

#[derive(Debug)]
enum Audio {
    Missing,
    /// A file without any tags: its audio has the root of the file, and is not hashed twice.
    WholeFile,
    Span(AudioSpan, TreeHasher),
}

impl SongHasher {
    /// For a file of `length` bytes, in which [`locate`] found `span`.
    pub fn new(length: FileLength, span: Option<AudioSpan>) -> Self {
        let audio = match span {
            None => Audio::Missing,
            Some(AudioSpan { offset: 0, length: audio }) if audio == length => Audio::WholeFile,
            Some(span) => Audio::Span(span, TreeHasher::new()),
        };
        Self { length, position: 0, file: TreeHasher::new(), audio }
    }

    /// Takes the next bytes of the file. They may come in pieces of any size.
    pub fn update(&mut self, bytes: &[u8]) {
        self.file.update(bytes);
        if let Audio::Span(span, hasher) = &mut self.audio {
            hasher.update(span.part_of(bytes, self.position));
        }
        self.position = self.position.saturating_add(bytes.len() as u64);
    }

    /// Fails if the file was empty or too long to have a name.
    ///
    /// A file whose length changed since the audio was located is another file, and its audio lies who knows where.
    pub fn finish(self) -> Result<HashedSong, InvalidLength> {
        let file = self.file.finish()?;
        let unchanged = file.id.length() == self.length;
        let audio = match self.audio {
            Audio::WholeFile if unchanged => Some(AudioId { root: file.id.root(), offset: 0, length: self.length }),
            Audio::Span(span, hasher) if unchanged && span.lies_in(self.length) => {
                Some(AudioId { root: hasher.finish()?.id.root(), offset: span.offset, length: span.length })
            }
            _ => None,
        };
        Ok(HashedSong { file, audio })
    }
}

/// Real files have one or two tags at an end, and a dozen metadata blocks or chunks; one that has more than this
/// is not worth more reads.
const MAX_STEPS: usize = 128;

/// An ID3v1 tag has one length, and so has its extension.
const ID3V1_BYTES: usize = 128;
const ID3V1_EXTENSION_BYTES: usize = 227;

/// The header of an ID3v2 tag, and its copy at the other end if there is one.
const ID3V2_HEADER_BYTES: u64 = 10;
const ID3V2_HAS_FOOTER: u8 = 1 << 4;

/// The header or footer of an APEv2 tag.
const APE_HEADER_BYTES: u64 = 32;
const APE_HAS_HEADER: u32 = 1 << 31;
const APE_IS_HEADER: u32 = 1 << 29;

struct File<R> {
    length: u64,
    read: R,
}

impl<R: FnMut(&mut [u8], u64) -> io::Result<()>> File<R> {
    /// `N` bytes, or zeros if the file does not have them all. Nothing we look for looks like zeros.
    fn bytes_at<const N: usize>(&mut self, offset: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        if offset.checked_add(N as u64).is_some_and(|end| end <= self.length) {
            (self.read)(&mut bytes, offset)?;
        }
        Ok(bytes)
    }

    fn bytes_before<const N: usize>(&mut self, end: u64) -> io::Result<[u8; N]> {
        end.checked_sub(N as u64).map_or(Ok([0; N]), |offset| self.bytes_at(offset))
    }

    fn end_of_tags_in_front(&mut self) -> io::Result<u64> {
        let mut start = 0;
        for _ in 0..MAX_STEPS {
            let Some(length) = tag_in_front(&self.bytes_at(start)?) else { break };
            start += length;
        }
        Ok(start)
    }

    fn start_of_tags_at_end(&mut self, start: u64) -> io::Result<u64> {
        let mut end = self.length;
        for _ in 0..MAX_STEPS {
            match self.tag_before(end)? {
                Some(length) if start + length <= end => end -= length,
                _ => break,
            }
        }
        Ok(end)
    }

    /// The length of the tag that ends at `end`.
    fn tag_before(&mut self, end: u64) -> io::Result<Option<u64>> {
        let last: [u8; APE_HEADER_BYTES as usize] = self.bytes_before(end)?;
        if let Some(ape) = ApeHeader::read(&last) {
            // The size covers the footer but not the header.
            let header = if ape.flags & APE_HAS_HEADER == 0 { 0 } else { APE_HEADER_BYTES };
            let footer = ape.flags & APE_IS_HEADER == 0 && ape.size >= APE_HEADER_BYTES;
            return Ok(footer.then_some(ape.size + header));
        }
        if let [.., b'3', b'D', b'I', _, _, _, a, b, c, d] = last {
            return Ok(syncsafe([a, b, c, d]).map(|size| size + 2 * ID3V2_HEADER_BYTES));
        }
        if let Some(length) = lyrics3v2(&last) {
            let opening = end.checked_sub(length).map_or(Ok([0; 11]), |offset| self.bytes_at(offset))?;
            return Ok((&opening == b"LYRICSBEGIN").then_some(length));
        }
        if self.bytes_before::<ID3V1_BYTES>(end)?.starts_with(b"TAG") {
            return Ok(Some(ID3V1_BYTES as u64));
        }
        // The extension lies before an ID3v1 tag, but to ask for one here would make the end of the audio depend on
        // what follows it.
        let extended = self.bytes_before::<ID3V1_EXTENSION_BYTES>(end)?.starts_with(b"TAG+");
        Ok(extended.then_some(ID3V1_EXTENSION_BYTES as u64))
    }

    /// Walks the metadata blocks, of which the first begins at `block`: a bit that says whether it is the last,
    /// 7 bits of kind, 24 of length (RFC 9639, section 8.1).
    fn first_flac_frame(&mut self, mut block: u64) -> io::Result<Option<u64>> {
        for _ in 0..MAX_STEPS {
            let [kind, a, b, c] = self.bytes_at(block)?;
            block += 4 + u64::from(u32::from_be_bytes([0, a, b, c]));
            if kind & 0x80 != 0 {
                // 15 bits with which every frame begins, and one that may be either (section 9.1).
                let [first, second] = self.bytes_at(block)?;
                return Ok((first == 0xff && second & 0xfe == 0xf8).then_some(block));
            }
        }
        Ok(None)
    }

    /// Walks the chunks of a WAV file: a name, 32 bits of length, and the body, padded to an even length.
    fn wav_data(&mut self) -> io::Result<Option<AudioSpan>> {
        if &self.bytes_at(8)? != b"WAVE" {
            return Ok(None);
        }
        let mut chunk = 12;
        for _ in 0..MAX_STEPS {
            let [name @ .., a, b, c, d] = self.bytes_at::<8>(chunk)?;
            let size = u64::from(u32::from_le_bytes([a, b, c, d]));
            let body = chunk + 8;
            if &name == b"data" {
                return Ok(AudioSpan::between(body, self.length.min(body + size)));
            }
            chunk = body + size.next_multiple_of(2);
        }
        Ok(None)
    }
}

/// The length of the tag that begins with these bytes.
fn tag_in_front(header: &[u8; APE_HEADER_BYTES as usize]) -> Option<u64> {
    if let [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] = *header {
        let footer = if flags & ID3V2_HAS_FOOTER == 0 { 0 } else { ID3V2_HEADER_BYTES };
        return Some(ID3V2_HEADER_BYTES + syncsafe([a, b, c, d])? + footer);
    }
    let ape = ApeHeader::read(header)?;
    (ape.flags & APE_IS_HEADER != 0).then_some(APE_HEADER_BYTES + ape.size)
}

/// The header of an APEv2 tag, or its footer, which differs by one flag.
struct ApeHeader {
    size: u64,
    flags: u32,
}

impl ApeHeader {
    fn read(bytes: &[u8; APE_HEADER_BYTES as usize]) -> Option<Self> {
        let words = bytes.strip_prefix(b"APETAGEX")?.as_chunks().0;
        let [_version, size, _items, flags, ..] = *words else { return None };
        Some(Self { size: u64::from(u32::from_le_bytes(size)), flags: u32::from_le_bytes(flags) })
    }
}

/// ID3v2 sizes have 7 bits in each byte, so that no size looks like the start of a frame.
fn syncsafe(bytes: [u8; 4]) -> Option<u64> {
    bytes.iter().try_fold(0, |size, &byte| (byte < 0x80).then_some(size << 7 | u64::from(byte)))
}

/// The length of a Lyrics3v2 tag that ends with these bytes: six digits, which do not count themselves or what
/// follows, and a marker.
fn lyrics3v2(last: &[u8]) -> Option<u64> {
    let digits = last.strip_suffix(b"LYRICS200")?.last_chunk::<6>()?;
    let size =
        digits.iter().try_fold(0, |size, digit| digit.is_ascii_digit().then(|| 10 * size + u64::from(digit - b'0')))?;
    Some(size + 6 + 9)
}

/// Whether these bytes can begin a frame of MPEG 1, 2 or 2.5, Layer III (ISO 11172-3, section 2.4.2.3): 11 bits
/// of sync, 2 of version, 2 of layer, then the bit rate and the sample rate, of which some values are reserved.
fn is_layer_3_header(&[first, second, third, _]: &[u8; 4]) -> bool {
    let sync = first == 0xff && second & 0xe0 == 0xe0;
    let version_exists = second >> 3 & 3 != 1;
    let layer_3 = second >> 1 & 3 == 1;
    let bit_rate_exists = third >> 4 != 15;
    let sample_rate_exists = third >> 2 & 3 != 3;
    sync && version_exists && layer_3 && bit_rate_exists && sample_rate_exists
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::leaf::LEAF_BYTES;

    const FRAME: [u8; 4] = [0xff, 0xfb, 0x90, 0x64];

    fn mp3(bytes: usize) -> Vec<u8> {
        FRAME.into_iter().chain((0..bytes).map(|i| (i * i / 8) as u8 & 0x7f)).collect()
    }

    /// The marker, a block of stream information, a picture, and one frame.
    fn flac(picture: usize, frame: usize) -> Vec<u8> {
        let size = (picture as u32).to_be_bytes();
        let blocks = [&b"fLaC"[..], &[0, 0, 0, 34], &[1; 34], &[0x86, size[1], size[2], size[3]], &vec![2; picture]];
        [blocks.concat(), vec![0xff, 0xf8], vec![3; frame]].concat()
    }

    fn chunk(name: &[u8; 4], size: u32, body: &[u8]) -> Vec<u8> {
        [name, &size.to_le_bytes()[..], body].concat()
    }

    fn wav(chunks: &[Vec<u8>]) -> Vec<u8> {
        [&b"RIFF\xff\xff\xff\xffWAVE"[..], &chunks.concat()].concat()
    }

    fn id3v2(body: usize, flags: u8) -> Vec<u8> {
        let size = [(body >> 21) as u8, (body >> 14) as u8 & 0x7f, (body >> 7) as u8 & 0x7f, body as u8 & 0x7f];
        let header = [&[4, 0, flags], &size[..]].concat();
        let footer = [b"3DI", &header[..]].concat();
        let tag = [b"ID3", &header[..], &vec![b'x'; body]].concat();
        if flags & ID3V2_HAS_FOOTER == 0 { tag } else { [tag, footer].concat() }
    }

    fn id3v1() -> Vec<u8> {
        [&b"TAG"[..], &[b' '; 125]].concat()
    }

    fn id3v1_extended() -> Vec<u8> {
        [&b"TAG+"[..], &[b' '; 223], &id3v1()].concat()
    }

    fn ape(body: usize, with_header: bool) -> Vec<u8> {
        let size = (body as u32 + 32).to_le_bytes();
        let block = |flags: u32| {
            [&b"APETAGEX"[..], &2000u32.to_le_bytes(), &size, &[1, 0, 0, 0], &flags.to_le_bytes(), &[0; 8]].concat()
        };
        if with_header {
            [block(APE_HAS_HEADER | APE_IS_HEADER), vec![b'x'; body], block(APE_HAS_HEADER)].concat()
        } else {
            [vec![b'x'; body], block(0)].concat()
        }
    }

    fn lyrics(body: usize) -> Vec<u8> {
        let text = format!("LYRICSBEGIN{}", "x".repeat(body));
        format!("{text}{:06}LYRICS200", text.len()).into_bytes()
    }

    /// Where the audio of `bytes` lies; fails if anything outside them is asked for.
    fn located(bytes: &[u8]) -> Option<(usize, usize)> {
        let length = FileLength::new(bytes.len() as u64).ok()?;
        let span = locate(length, |buffer, offset| {
            buffer.copy_from_slice(&bytes[offset as usize..][..buffer.len()]);
            Ok(())
        });
        let span = span.unwrap()?;
        assert!(span.lies_in(length));
        Some((span.offset as usize, (span.offset + span.length.bytes()) as usize))
    }

    fn audio_of(bytes: &[u8]) -> Option<&[u8]> {
        located(bytes).map(|(start, end)| &bytes[start..end])
    }

    fn hashed(bytes: &[u8], piece: usize) -> HashedSong {
        let length = FileLength::new(bytes.len() as u64).unwrap();
        let span = located(bytes).and_then(|(start, end)| AudioSpan::between(start as u64, end as u64));
        let mut hasher = SongHasher::new(length, span);
        bytes.chunks(piece).for_each(|piece| hasher.update(piece));
        hasher.finish().unwrap()
    }

    #[test]
    fn mp3_audio_lies_between_the_tags() {
        let audio = mp3(5000);
        let fronts = [vec![], id3v2(0, 0), id3v2(300, 0), id3v2(20_000, ID3V2_HAS_FOOTER), ape(50, true)];
        let ends = [
            vec![],
            id3v1(),
            id3v1_extended(),
            ape(200, false),
            ape(200, true),
            lyrics(90),
            id3v2(40, ID3V2_HAS_FOOTER),
        ];
        for front in [fronts.to_vec(), vec![fronts.concat()]].concat() {
            for end in [ends.to_vec(), vec![ends.concat()]].concat() {
                let file = [&front[..], &audio, &end].concat();
                assert_eq!(located(&file), Some((front.len(), front.len() + audio.len())));
            }
        }
    }

    #[test]
    fn audio_that_happens_to_end_like_a_tag_is_cut_alike_in_every_copy() {
        // Found by `two_taggings_of_the_same_audio_have_one_root`, when the extension was only seen before an ID3v1.
        for likeness in
            [[&b"TAG+"[..], &[1; 223]].concat(), [&b"TAG"[..], &[1; 125]].concat(), lyrics(5), ape(5, false)]
        {
            let audio = mp3(1000);
            for end in [vec![], id3v1(), ape(20, true)] {
                assert_eq!(audio_of(&[&audio[..], &likeness, &end].concat()), Some(&audio[..]));
            }
        }
    }

    #[test]
    fn flac_audio_begins_after_the_blocks_however_large_the_picture() {
        for (front, end) in [(vec![], vec![]), (id3v2(77, 0), id3v1())] {
            let song = flac(3_000_000, 9000);
            let file = [&front[..], &song, &end].concat();
            assert_eq!(audio_of(&file), Some(&song[song.len() - 9002..]));
        }
        let mut no_frame = flac(10, 9000);
        let frame = no_frame.len() - 9002;
        no_frame[frame] = 0xfe;
        assert_eq!(located(&no_frame), None);
        assert_eq!(located(&flac(10, 9000)[..frame]), None);
    }

    #[test]
    fn wav_audio_is_the_data_chunk_but_never_more_than_the_file() {
        let list = chunk(b"LIST", 3, b"odd\0");
        let file =
            |size| wav(&[chunk(b"fmt ", 16, &[0; 16]), list.clone(), chunk(b"data", size, &[7; 500]), list.clone()]);
        let start = 12 + 24 + 12 + 8;
        assert_eq!(located(&file(500)), Some((start, start + 500)));
        assert_eq!(located(&file(u32::MAX)), Some((start, start + 512)));
        assert_eq!(located(&file(0)), None);
        assert_eq!(located(&wav(&[list])), None);
    }

    #[test]
    fn other_files_have_no_audio() {
        let utf16 = [0xff, 0xfe, b'a', 0, b'b', 0];
        let aac = [0xff, 0xf1, 0x50, 0x80, 0, 0];
        let tags_alone = [id3v2(30, 0), id3v1()].concat();
        let truncated = &id3v2(1000, 0)[..500];
        for bytes in [&b"OggS"[..], b"RIFF....AVI ", b"fLaC", b"f", &utf16, &aac, &tags_alone, truncated] {
            assert_eq!(located(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_and_not_a_file_without_audio() {
        let length = FileLength::new(1000).unwrap();
        let broken = locate(length, |_, _| Err(io::ErrorKind::UnexpectedEof.into()));
        assert_eq!(broken.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_walk_comes_to_an_end_in_any_file() {
        let mut reads = 0;
        let endless = [b"fLaC".to_vec(), vec![0; 1 << 20]].concat();
        let found = locate(FileLength::new(endless.len() as u64).unwrap(), |buffer, offset| {
            reads += 1;
            buffer.copy_from_slice(&endless[offset as usize..][..buffer.len()]);
            Ok(())
        });
        assert_eq!(found.unwrap(), None);
        assert!(reads < 2 * MAX_STEPS);
    }

    #[test]
    fn a_file_without_tags_has_the_root_of_its_audio() {
        let audio = mp3(3 * LEAF_BYTES as usize);
        let song = hashed(&audio, 1000);
        let id = song.audio.unwrap();
        assert_eq!((id.root, id.offset, id.length), (song.file.id.root(), 0, song.file.id.length()));
    }

    #[test]
    fn a_file_that_changed_while_it_was_read_has_no_audio() {
        for tag in [vec![], id3v1()] {
            let file = [mp3(9000), tag].concat();
            let length = FileLength::new(file.len() as u64).unwrap();
            let (start, end) = located(&file).unwrap();
            let mut hasher = SongHasher::new(length, AudioSpan::between(start as u64, end as u64));
            hasher.update(&file[..100]);
            assert_eq!(hasher.finish().unwrap().audio, None);
        }
    }

    #[test]
    fn the_text_form_shows_the_root_as_digits_and_a_claim_past_the_end_is_seen() {
        let id = AudioId { root: Digest::ZERO, offset: 10, length: FileLength::new(5).unwrap() };
        let text = serde_json::to_string(&id).unwrap();
        assert_eq!(text, format!(r#"{{"root":"{}","offset":10,"length":5}}"#, "0".repeat(64)));
        assert_eq!(serde_json::from_str::<AudioId>(&text).unwrap(), id);
        assert!(serde_json::from_str::<AudioId>(&text.replace("5}", "0}")).is_err());

        assert!(id.lies_in(FileLength::new(15).unwrap()));
        assert!(!id.lies_in(FileLength::new(14).unwrap()));
        assert!(!AudioId { offset: u64::MAX, ..id }.lies_in(FileLength::new(15).unwrap()));
    }

    fn front_tag() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(vec![]),
            (0..40_000usize, prop_oneof![Just(0), Just(ID3V2_HAS_FOOTER)]).prop_map(|(body, flags)| id3v2(body, flags)),
            (0..500usize).prop_map(|body| ape(body, true)),
        ]
    }

    fn end_tag() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(vec![]),
            Just(id3v1()),
            Just(id3v1_extended()),
            (0..500usize, any::<bool>()).prop_map(|(body, header)| ape(body, header)),
            (0..500usize).prop_map(lyrics),
            (0..500usize).prop_map(|body| id3v2(body, ID3V2_HAS_FOOTER)),
        ]
    }

    /// Bytes that look like the beginning of something, to lead a walk astray.
    fn tempting_junk() -> impl Strategy<Value = Vec<u8>> {
        let bait = prop_oneof![
            prop::sample::select(vec![
                b"ID3\x04\0\x10\0\0\0\x05".to_vec(),
                b"3DI\x04\0\0\0\0\x01\0".to_vec(),
                b"fLaC".to_vec(),
                b"TAG+".to_vec(),
                b"TAG".to_vec(),
                b"LYRICSBEGIN".to_vec(),
                b"000020LYRICS200".to_vec(),
                b"RIFF\0\0\0\0WAVE".to_vec(),
                b"data\xff\xff\xff\xff".to_vec(),
                ape(0, false),
                ape(0, true),
                FRAME.to_vec(),
                vec![0xff, 0xf8],
                vec![0x80, 0, 0, 4],
            ]),
            prop::collection::vec(any::<u8>(), 0..150),
        ];
        prop::collection::vec(bait, 1..12).prop_map(|baits| baits.concat())
    }

    proptest! {
        #[test]
        fn junk_never_leads_out_of_the_file(junk in prop_oneof![tempting_junk(), prop::collection::vec(any::<u8>(), 0..600)]) {
            // `located` checks every read and the result.
            let _ = located(&junk);
        }

        #[test]
        fn two_taggings_of_the_same_audio_have_one_root(
            fronts in prop::array::uniform2(prop::collection::vec(front_tag(), 0..3)),
            ends in prop::array::uniform2(prop::collection::vec(end_tag(), 0..3)),
            audio in tempting_junk(),
            filler in 0..60_000usize,
            piece in 1..50_000usize,
        ) {
            let audio = [mp3(filler), audio].concat();
            let [one, other] = [0, 1].map(|copy| [fronts[copy].concat(), audio.clone(), ends[copy].concat()].concat());
            let [one, other] = [hashed(&one, piece), hashed(&other, 7000)].map(|song| song.audio.map(|audio| (audio.root, audio.length)));
            prop_assert_eq!(one, other);
        }

        #[test]
        fn the_pieces_a_song_comes_in_do_not_matter(front in front_tag(), filler in 0..90_000usize, piece in 1..50_000usize) {
            let file = [front, mp3(filler), id3v1()].concat();
            let song = hashed(&file, piece);
            prop_assert_eq!(&song, &hashed(&file, file.len()));
            let audio = hashed(audio_of(&file).unwrap(), piece);
            prop_assert_eq!(song.audio.unwrap().root, audio.file.id.root());
        }
    }
}
