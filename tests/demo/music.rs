//! Music that belongs to everybody: old tunes, played by the demo itself, so that there is something to share.
//!
//! The composers died long enough ago everywhere, the arrangements are our own, and the sound is computed here:
//! no recording is involved.
//!
//! The scores are in [`baroque`], [`classical`], [`romantic`] and [`folk`];
//! [`melody`] reads their notes, [`synth`] plays them, [`wav`] writes file and tags.
//!
//! Rules:
//! - The same song is the same bytes on every machine, so that peers who each make their own copy share one file.
//! - Every song plays for 15 to 30 seconds: long enough to hear, short enough to make a dozen in a moment.
//! - Names keep their accents (`Dvořák`, `Für Elise`), because searching for `dvorak` has to find them.

mod baroque;
mod classical;
mod folk;
mod melody;
mod romantic;
mod synth;
mod wav;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use melody::{Melody, Meter, Mistake};
use synth::{Instrument, Part};

/// One tune with its tags and its notes.
#[derive(Clone, Debug)]
pub(crate) struct Song {
    pub(crate) title: &'static str,
    pub(crate) artist: &'static str,
    pub(crate) album: &'static str,
    /// When it was composed or, for a traditional tune, first printed.
    pub(crate) year: u16,
    pub(crate) track: u16,
    pub(crate) genre: &'static str,
    quarters_per_minute: u16,
    meter: Meter,
    voices: &'static [Voice],
}

/// One line of the score, for one instrument; the text is explained in [`melody`].
#[derive(Debug)]
struct Voice {
    instrument: Instrument,
    score: &'static [&'static str],
}

impl Song {
    /// Where the song belongs in a music folder: `Artist/Album/03 Title.wav`.
    pub(crate) fn path(&self) -> PathBuf {
        let file_name = format!("{:02} {}.wav", self.track, self.title);
        Path::new(self.artist).join(self.album).join(file_name)
    }

    /// The sound, one channel at [`synth::SAMPLE_RATE`].
    fn play(&self) -> Result<Vec<i16>, Mistake> {
        Ok(synth::play(&self.parts()?, self.quarters_per_minute))
    }

    fn parts(&self) -> Result<Vec<Part>, Mistake> {
        let part = |voice: &Voice| {
            let melody = Melody::parse(voice.score, self.meter)?;
            Ok(Part { instrument: voice.instrument, melody })
        };
        self.voices.iter().map(part).collect()
    }
}

/// Plays `song` into a WAV file at `path`, making the folders above it.
///
/// # Errors
/// Those of the file system; and [`io::ErrorKind::InvalidData`] for a mistake in the score, which names the bar.
pub(crate) fn write_song(song: &Song, path: &Path) -> io::Result<()> {
    let samples = song
        .play()
        .map_err(|mistake| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {mistake}", song.title)))?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, wav::encode(song, &samples))
}

/// All the songs, the oldest style first.
pub(crate) fn songs() -> Vec<Song> {
    [&baroque::songs()[..], &classical::songs(), &romantic::songs(), &folk::songs()].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn fur_elise() -> Song {
        songs().into_iter().find(|song| song.title == "Für Elise").unwrap()
    }

    #[test]
    fn every_song_plays_for_15_to_30_seconds_and_its_voices_end_together() {
        for song in songs() {
            let lengths: Vec<_> = song.parts().unwrap().iter().map(|part| part.melody.length).collect();
            assert!(lengths.iter().all(|length| *length == lengths[0]), "{}: {lengths:?}", song.title);
            let seconds = synth::seconds(lengths[0], song.quarters_per_minute);
            assert!((15.0..=30.0).contains(&seconds), "{}: {seconds} s", song.title);
        }
    }

    #[test]
    fn a_written_song_is_a_file_in_folders_made_for_it() {
        let folder = std::env::temp_dir().join(format!("choir-demo-music-{}", std::process::id()));
        let song = fur_elise();
        write_song(&song, &folder.join(song.path())).unwrap();
        let file = fs::read(folder.join("Ludwig van Beethoven/Bagatelles/01 Für Elise.wav")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(file, wav::encode(&song, &song.play().unwrap()));
    }

    #[test]
    fn a_mistake_in_a_score_names_song_and_bar() {
        const TYPO: &[Voice] = &[Voice { instrument: Instrument::Flute, score: &["C4/4 D4 E4 | H4/4 R/2"] }];
        let song = Song { meter: Meter::THREE_FOUR, voices: TYPO, ..fur_elise() };
        let error = write_song(&song, Path::new("never written")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(error.to_string(), "Für Elise: bar 2: no such note: H4/4");
    }

    #[test]
    fn no_two_songs_share_a_path_and_each_is_artist_album_file() {
        let paths: HashSet<_> = songs().iter().map(Song::path).collect();
        assert_eq!(paths.len(), songs().len());
        assert!(paths.contains(Path::new("Traditional/Chansons d’enfants/03 Frère Jacques.wav")));
        for path in paths {
            assert_eq!(path.components().count(), 3, "{}", path.display());
        }
    }

    /// Peers that make the same song must end up with one file between them, whatever the machine.
    #[test]
    fn a_song_is_the_same_bytes_on_every_machine() {
        /// FNV-1a, enough to notice a single sample that differs.
        fn fingerprint(bytes: &[u8]) -> u64 {
            bytes
                .iter()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
        }
        let song = fur_elise();
        let file = wav::encode(&song, &song.play().unwrap());
        assert_eq!(format!("{:016x}", fingerprint(&file)), "b4d0e3ccea3b9e4f");
    }
}
