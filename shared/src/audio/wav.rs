//! WAV: chunks, of which one holds the audio.

use std::io;

use super::file::File;
use super::{AudioSpan, MAX_STEPS};

impl<R: FnMut(&mut [u8], u64) -> io::Result<()>> File<R> {
    /// Walks the chunks of a WAV file: a name, 32 bits of length, and the body, padded to an even length.
    pub(super) fn wav_data(&mut self) -> io::Result<Option<AudioSpan>> {
        if &self.bytes_at(8)? != b"WAVE" {
            return Ok(None);
        }
        let mut chunk = 12;
        for _ in 0..MAX_STEPS {
            let [name @ .., a, b, c, d] = self.bytes_at::<8>(chunk)?;
            let size = u64::from(u32::from_le_bytes([a, b, c, d]));
            let body = chunk + 8;
            if &name == b"data" {
                return Ok(AudioSpan::between(body, self.length().min(body + size)));
            }
            chunk = body + size.next_multiple_of(2);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{chunk, located, wav};

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
}
