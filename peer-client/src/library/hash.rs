//! Reading files: their hashes, the identity of their sound, and their tags, from one opening.
//!
//! A file may be written to while it is read. So its stamp is taken from the open file before and after, and a file
//! that changed in between is not believed but looked at again later.

pub(crate) mod disk;
pub(crate) mod queue;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use choir_shared::Claim;
use choir_shared::audio::{AudioId, HashedSong, SongHasher, locate};
use choir_shared::claim::Kind;
use choir_shared::leaf::FileLength;
use tokio_util::sync::CancellationToken;

use super::beneath;
use super::describe::{self, Findings};
use super::file_kind::{FileKind, HEAD_BYTES};
use super::left_out::Reason;
use super::stamp::Stamp;
use super::tags;

/// What the widest hash lanes take at once, and small enough to be hashed twice out of a core's own cache; the kernel
/// reads further ahead.
const READ_BYTES: usize = 256 << 10;

/// Where a file lies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) share: i64,
    pub(crate) directory: PathBuf,
    pub(crate) name: OsString,
}

impl Place {
    pub(crate) fn relative(&self) -> PathBuf {
        self.directory.join(&self.name)
    }
}

/// A file to be read.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) place: Arc<Place>,
    /// Of the share.
    pub(crate) root: Arc<Path>,
    pub(crate) alias: Arc<str>,
    pub(crate) inodes: disk::Inodes,
    pub(crate) work: Work,
    /// How much there is to hash, for the progress.
    pub(crate) bytes: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    Hash,
    /// A file that was hashed before, perhaps under another name: only its tags are read.
    Describe(KnownContent),
}

/// What the database calls a file that was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownContent {
    pub(crate) id: i64,
    pub(crate) audio: Option<AudioId>,
}

/// A file as it was found.
#[derive(Debug)]
pub(crate) struct ReadFile {
    pub(crate) place: Arc<Place>,
    pub(crate) stamp: Stamp,
    pub(crate) claim: Claim,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Hashed(HashedSong),
    Known(i64),
}

/// Why a file was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotRead {
    /// It is not shared.
    LeftOut(Reason),
    /// It is not there any more.
    Vanished,
    /// Somebody is writing to it. This is what it looked like last.
    Changing(Stamp),
    /// The program stops.
    Stopped,
}

impl From<io::Error> for NotRead {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::*;
        match error.kind() {
            // A link or a folder in the file's place; the next look at its folder says which.
            NotFound | NotADirectory | InvalidInput | IsADirectory => Self::Vanished,
            _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Self::Vanished,
            _ => Self::LeftOut(Reason::Unreadable),
        }
    }
}

/// Does the job on this thread, counting in `hashed` the bytes that it hashes.
pub(crate) fn perform(job: &Job, hashed: &AtomicU64, stop: &CancellationToken) -> Result<ReadFile, NotRead> {
    let relative = job.place.relative();
    let file = beneath::open_file(&job.root, &relative)?;
    let before = job.inodes.stamp(&file.metadata()?);
    let kind = FileKind::of_name(&job.place.name).ok_or(NotRead::LeftOut(Reason::OtherKind))?;
    let length = FileLength::new(before.size)
        .map_err(|_| NotRead::LeftOut(if before.size == 0 { Reason::Empty } else { Reason::TooLarge }))?;
    let format = kind.format(&head(&file)?).ok_or(NotRead::LeftOut(Reason::NotWhatItsNameSays))?;

    let content = match job.work {
        Work::Hash => Content::Hashed(hash(&file, kind.kind, length, hashed, stop)?),
        Work::Describe(known) => Content::Known(known.id),
    };
    let audio = match (&content, job.work) {
        (Content::Hashed(song), _) => song.audio,
        (_, Work::Describe(known)) => known.audio,
        _ => None,
    };
    let is_song = kind.kind == Kind::Song;
    let vbr = audio.filter(|_| format.as_str() == "mp3").and_then(|audio| is_vbr(&file, audio.offset));
    let tags = if is_song { tags::read(&file) } else { None };
    let claim = describe::claim(&job.alias, &relative, Findings { kind: kind.kind, format, audio, tags, vbr });

    let metadata = file.metadata()?;
    if metadata.nlink() == 0 {
        return Err(NotRead::Vanished);
    }
    let after = job.inodes.stamp(&metadata);
    if before != after {
        return Err(NotRead::Changing(after));
    }
    Ok(ReadFile { place: Arc::clone(&job.place), stamp: after, claim, content })
}

fn head(file: &File) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let mut file = file;
    file.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    io::Seek::rewind(&mut file)?;
    Ok(head)
}

fn hash(
    file: &File,
    kind: Kind,
    length: FileLength,
    hashed: &AtomicU64,
    stop: &CancellationToken,
) -> Result<HashedSong, NotRead> {
    disk::read_ahead(file);
    let span = match kind {
        Kind::Song => locate(length, |buffer, offset| file.read_exact_at(buffer, offset))?,
        _ => None,
    };
    let mut hasher = SongHasher::new(length, span);
    let mut buffer = vec![0; READ_BYTES.min(usize::try_from(length.bytes()).unwrap_or(READ_BYTES))];
    let mut position = 0;
    while position < length.bytes() {
        if stop.is_cancelled() {
            return Err(NotRead::Stopped);
        }
        let wanted = buffer.len().min(usize::try_from(length.bytes() - position).unwrap_or(buffer.len()));
        let Some(piece) = buffer.get_mut(..wanted) else { break };
        // A file that has become shorter is noticed by its stamp, but must not be an error that hides it.
        let read = match file.read_exact_at(piece, position) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(NotRead::Changing(Stamp::of(&file.metadata()?)));
            }
            read => read,
        };
        read?;
        hasher.update(piece);
        position += wanted as u64;
        hashed.fetch_add(wanted as u64, Ordering::Relaxed);
    }
    hasher.finish().map_err(|_| NotRead::LeftOut(Reason::TooLarge))
}

/// Whether the bit rate of an MP3 is a mean: its first frame holds a table that is called `Xing` or `VBRI` then, and
/// `Info` if the rate is constant. Nothing if there is no such frame.
fn is_vbr(file: &File, offset: u64) -> Option<bool> {
    // The frame's header, the longest side information, and the name of the table.
    let mut frame = [0; 40];
    file.read_exact_at(&mut frame, offset).ok()?;
    let has = |name: &[u8]| frame.windows(name.len()).any(|window| window == name);
    if has(b"Xing") || has(b"VBRI") { Some(true) } else { has(b"Info").then_some(false) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use choir_shared::merkle::TreeHasher;

    use super::super::fixture;
    use super::*;

    fn job(root: &Path, name: &str) -> Job {
        Job {
            place: Arc::new(Place { share: 1, directory: PathBuf::new(), name: name.into() }),
            root: root.into(),
            alias: "Music".into(),
            inodes: disk::Inodes::Lasting,
            work: Work::Hash,
            bytes: 0,
        }
    }

    fn perform_alone(job: &Job) -> Result<ReadFile, NotRead> {
        perform(job, &AtomicU64::new(0), &CancellationToken::new())
    }

    #[test]
    fn one_opening_yields_identity_sound_and_claim() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = fixture::wav(&fixture::Song { seconds: 100, title: Some("Tide"), ..fixture::Song::default() });
        fs::write(folder.path().join("01 x.wav"), &bytes).unwrap();
        let hashed = AtomicU64::new(0);
        let read = perform(&job(folder.path(), "01 x.wav"), &hashed, &CancellationToken::new()).unwrap();

        let mut tree = TreeHasher::new();
        tree.update(&bytes);
        let Content::Hashed(song) = read.content else { panic!() };
        assert_eq!(song.file, tree.finish().unwrap());
        assert_eq!(song.audio.unwrap().length.bytes(), 1_600_000);
        assert_eq!(hashed.into_inner(), bytes.len() as u64);
        assert_eq!(read.claim.title.as_deref(), Some("Tide"));
        assert_eq!(read.claim.audio, song.audio);
        assert_eq!(read.claim.format.as_str(), "wav");
    }

    #[test]
    fn a_described_file_is_not_hashed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.wav"), fixture::song(1)).unwrap();
        let known = KnownContent { id: 7, audio: None };
        let hashed = AtomicU64::new(0);
        let job = Job { work: Work::Describe(known), ..job(folder.path(), "x.wav") };
        let read = perform(&job, &hashed, &CancellationToken::new()).unwrap();
        assert!(matches!(read.content, Content::Known(7)));
        assert_eq!(hashed.into_inner(), 0);
    }

    #[test]
    fn what_cannot_be_shared_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        write("zeros.mp3", &[0; 100_000]);
        write("letter.mp3", b"Dear Anna");
        write("empty.mp3", b"");
        write("broken.mp3", &[&b"ID3\x03\0\0\x7f\x7f\x7f\x7f"[..], &[0x55; 5000]].concat());
        let reason = |name: &str| perform_alone(&job(folder.path(), name)).map(|read| read.claim.title).unwrap_err();
        assert_eq!(reason("zeros.mp3"), NotRead::LeftOut(Reason::NotWhatItsNameSays));
        assert_eq!(reason("letter.mp3"), NotRead::LeftOut(Reason::NotWhatItsNameSays));
        assert_eq!(reason("empty.mp3"), NotRead::LeftOut(Reason::Empty));
        assert_eq!(reason("nothing.mp3"), NotRead::Vanished);
        // Broken, but a song: it is shared under its name.
        assert_eq!(perform_alone(&job(folder.path(), "broken.mp3")).unwrap().claim.title.as_deref(), Some("broken"));
    }

    #[test]
    fn a_stopped_program_stops_reading() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.wav"), fixture::song(1)).unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        assert_eq!(perform(&job(folder.path(), "x.wav"), &AtomicU64::new(0), &stop).unwrap_err(), NotRead::Stopped);
    }

    #[test]
    fn a_file_that_becomes_shorter_while_it_is_read_is_changing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.wav");
        fs::write(&path, fixture::song(1)).unwrap();
        let file = File::open(&path).unwrap();
        let length = FileLength::new(file.metadata().unwrap().len()).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
        let result = hash(&file, Kind::Cover, length, &AtomicU64::new(0), &CancellationToken::new());
        assert!(matches!(result, Err(NotRead::Changing(_))));
    }

    #[test]
    fn the_first_frame_of_an_mp3_tells_whether_its_rate_varies() {
        let mut file = tempfile::tempfile().unwrap();
        let frame = |name: &[u8; 4]| [&[0xff, 0xfb, 0x90, 0x64][..], &[0; 32], name, &[0; 50]].concat();
        let frames = [frame(b"Xing"), frame(b"Info"), frame(b"\0\0\0\0")];
        file.write_all(&frames.concat()).unwrap();
        let length = frames[0].len() as u64;
        assert_eq!([0, 1, 2].map(|number| is_vbr(&file, number * length)), [Some(true), Some(false), None]);
    }
}
