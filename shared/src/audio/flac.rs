//! FLAC: metadata blocks, and then the frames.

use std::io;

use super::MAX_STEPS;
use super::file::File;

impl<R: FnMut(&mut [u8], u64) -> io::Result<()>> File<R> {
    /// Walks the metadata blocks, of which the first begins at `block`: a bit that says whether it is the last,
    /// 7 bits of kind, 24 of length (RFC 9639, section 8.1).
    pub(super) fn first_flac_frame(&mut self, mut block: u64) -> io::Result<Option<u64>> {
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
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{audio_of, flac, id3v1, id3v2, located};

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
}
