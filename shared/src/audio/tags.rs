//! Tags around the audio: ID3v1 and its extension, ID3v2, APEv2, Lyrics3v2.

use std::io;

use super::MAX_STEPS;
use super::file::File;

/// An ID3v1 tag has one length, and so has its extension.
const ID3V1_BYTES: usize = 128;
const ID3V1_EXTENSION_BYTES: usize = 227;

/// The header of an ID3v2 tag, and its copy at the other end if there is one.
const ID3V2_HEADER_BYTES: u64 = 10;
pub(super) const ID3V2_HAS_FOOTER: u8 = 1 << 4;

/// The header or footer of an APEv2 tag.
const APE_HEADER_BYTES: u64 = 32;
pub(super) const APE_HAS_HEADER: u32 = 1 << 31;
pub(super) const APE_IS_HEADER: u32 = 1 << 29;

impl<R: FnMut(&mut [u8], u64) -> io::Result<()>> File<R> {
    /// Where the audio may begin: 0 without any tag.
    pub(super) fn end_of_tags_in_front(&mut self) -> io::Result<u64> {
        let mut start = 0;
        for _ in 0..MAX_STEPS {
            let Some(length) = tag_in_front(&self.bytes_at(start)?) else { break };
            start += length;
        }
        Ok(start)
    }

    /// Where the audio ends that begins at `start`: the end of the file without any tag.
    pub(super) fn start_of_tags_at_end(&mut self, start: u64) -> io::Result<u64> {
        let mut end = self.length();
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

#[cfg(test)]
mod tests {
    use super::super::fixture::{ape, audio_of, id3v1, id3v1_extended, id3v2, located, lyrics, mp3};
    use super::*;

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
    fn a_tag_is_found_behind_the_shortest_audio() {
        for audio in [mp3(0), mp3(10)] {
            for end in [id3v2(0, ID3V2_HAS_FOOTER), ape(0, false), lyrics(0)] {
                assert_eq!(audio_of(&[&audio[..], &end].concat()), Some(&audio[..]));
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
}
