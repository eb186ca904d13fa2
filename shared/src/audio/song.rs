//! Hashing a file together with the audio in it.

use super::{AudioId, AudioSpan};
use crate::leaf::{FileLength, InvalidLength};
use crate::merkle::{HashedFile, TreeHasher};

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
    /// For a file of `length` bytes, in which [`locate`](super::locate) found `span`.
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

#[cfg(test)]
mod tests {
    use super::super::fixture::{hashed, id3v1, located, mp3};
    use super::*;
    use crate::leaf::LEAF_BYTES;

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
}
