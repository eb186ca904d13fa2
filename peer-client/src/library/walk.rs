//! Looking through a shared folder, one directory after the other.
//!
//! - **Links are never followed**, so there are no loops and no way out. One that points inside the folder needs
//!   nothing: its target is found where it lies. One that leaves it is counted.
//! - **Hidden files and folders are not looked into**, nor are folders that their owner keeps private.
//! - **Songs are found by name** (their contents are looked at when they are hashed). Covers and texts are shared
//!   only beside a real song, so before the first of them in a directory one song there is opened.
//! - **What cannot be read is counted**, and nothing stops the walk.

use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::io::{ErrorKind, Read};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use choir_shared::claim::Kind;

use super::beneath;
use super::file_kind::{FileKind, HEAD_BYTES};
use super::left_out::{Reason, Tally};
use super::stamp::Stamp;

/// Deeper folders are a program's, or an accident.
const MAX_DEPTH: usize = 64;

/// Unfinished downloads lie in such folders.
const PARTIAL_FOLDER: &str = ".partial";

/// What one directory of a share has. All paths are relative to the share.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) directory: PathBuf,
    /// What may be shared, by its name.
    pub(crate) files: Vec<Found>,
    /// The names of the directories in it that are looked into.
    pub(crate) folders: Vec<OsString>,
    pub(crate) left_out: Tally,
}

#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) name: OsString,
    pub(crate) stamp: Stamp,
}

/// How far a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extent {
    /// The directory alone.
    Here,
    /// The directory and all below.
    Below,
}

/// The folder that is walked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground<'a> {
    /// Canonical.
    pub(crate) root: &'a Path,
    /// Absolute paths of folders that are left out.
    pub(crate) private: &'a [PathBuf],
}

/// Lists `start` and what lies below it. A directory that does not exist or cannot be read has an empty listing.
pub(crate) fn walk(
    ground: Ground<'_>,
    start: &Path,
    extent: Extent,
    mut emit: impl FnMut(Listing) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let absolute = ground.root.join(start);
    if is_hidden(start) || ground.private.iter().any(|private| absolute.starts_with(private)) {
        return emit(Listing { directory: start.to_owned(), ..Listing::default() });
    }
    // A directory that was replaced by a link since somebody told us about it.
    if fs::canonicalize(&absolute).is_ok_and(|real| real != absolute) {
        return emit(Listing { directory: start.to_owned(), ..Listing::default() });
    }
    let mut waiting = vec![start.to_owned()];
    while let Some(directory) = waiting.pop() {
        let listing = list(ground, directory);
        if extent == Extent::Below {
            waiting.extend(listing.folders.iter().map(|name| listing.directory.join(name)));
        }
        emit(listing)?;
    }
    ControlFlow::Continue(())
}

/// Whether the path, which is relative to a share, leads through something hidden.
pub(crate) fn is_hidden(relative: &Path) -> bool {
    relative.iter().any(|name| name.as_bytes().starts_with(b"."))
}

fn list(ground: Ground<'_>, directory: PathBuf) -> Listing {
    let mut listing = Listing { directory, ..Listing::default() };
    let mut companions = Vec::new();
    match fs::read_dir(ground.root.join(&listing.directory)) {
        Ok(entries) => {
            for entry in entries {
                let sorted = entry.map_err(|_| Reason::Unreadable).and_then(|entry| sort(ground, &listing, &entry));
                match sorted {
                    Ok(Sorted::Folder(name)) => listing.folders.push(name),
                    Ok(Sorted::Song(found)) => listing.files.push(found),
                    Ok(Sorted::Companion(found)) => companions.push(found),
                    Ok(Sorted::Nothing) => {}
                    Err(reason) => listing.left_out.add(reason, 1),
                }
            }
        }
        // A change in a file was noticed as one in a directory.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
        Err(_) => listing.left_out.add(Reason::Unreadable, 1),
    }
    if !companions.is_empty() && listing.files.iter().any(|song| is_song(ground, &listing.directory.join(&song.name))) {
        listing.files.append(&mut companions);
    } else {
        listing.left_out.add(Reason::OtherKind, companions.len() as u64);
    }
    listing
}

enum Sorted {
    Folder(OsString),
    Song(Found),
    Companion(Found),
    /// Ours, or found elsewhere.
    Nothing,
}

fn sort(ground: Ground<'_>, listing: &Listing, entry: &DirEntry) -> Result<Sorted, Reason> {
    let name = entry.file_name();
    if name == PARTIAL_FOLDER {
        return Ok(Sorted::Nothing);
    }
    if name.as_bytes().starts_with(b".") {
        return Err(Reason::Hidden);
    }
    // Of the link, not of what it points to.
    let metadata = entry.metadata().map_err(|_| Reason::Unreadable)?;
    if metadata.is_symlink() {
        return match fs::canonicalize(entry.path()) {
            Ok(target) if target.starts_with(ground.root) => Ok(Sorted::Nothing),
            Ok(_) => Err(Reason::LinkOutside),
            Err(_) => Err(Reason::BrokenLink),
        };
    }
    if metadata.is_dir() {
        return if ground.private.contains(&entry.path()) {
            Err(Reason::KeptPrivate)
        } else if listing.directory.components().count() >= MAX_DEPTH {
            Err(Reason::TooDeep)
        } else {
            Ok(Sorted::Folder(name))
        };
    }
    if !metadata.is_file() {
        return Err(Reason::NotAFile);
    }
    let kind = FileKind::of_name(&name).ok_or(Reason::OtherKind)?;
    if metadata.len() == 0 {
        return Err(Reason::Empty);
    }
    if metadata.len() > kind.max_bytes() {
        return Err(Reason::TooLarge);
    }
    let found = Found { name, stamp: Stamp::of(&metadata) };
    Ok(if kind.kind == Kind::Song { Sorted::Song(found) } else { Sorted::Companion(found) })
}

fn is_song(ground: Ground<'_>, relative: &Path) -> bool {
    let Some(kind) = relative.file_name().and_then(FileKind::of_name) else { return false };
    let mut head = Vec::new();
    let read =
        beneath::open_file(ground.root, relative).and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head));
    read.is_ok() && kind.format(&head).is_some()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::super::left_out::LeftOut;
    use super::*;

    struct World {
        _folder: tempfile::TempDir,
        root: PathBuf,
        private: Vec<PathBuf>,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().canonicalize().unwrap().join("music");
            fs::create_dir(&root).unwrap();
            Self { _folder: folder, root, private: Vec::new() }
        }

        fn write(&self, path: &str, contents: &[u8]) {
            let path = self.root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }

        /// The paths of what is found, and what is left out.
        fn walk(&self, start: &str, extent: Extent) -> (Vec<String>, Vec<LeftOut>) {
            let (mut found, mut left_out) = (Vec::new(), Tally::default());
            let ground = Ground { root: &self.root, private: &self.private };
            let _ = walk(ground, Path::new(start), extent, |listing| {
                found.extend(listing.files.iter().map(|file| listing.directory.join(&file.name).display().to_string()));
                left_out.include(&listing.left_out);
                ControlFlow::Continue(())
            });
            found.sort();
            (found, left_out.to_list())
        }
    }

    const MP3: &[u8] = b"ID3\x04";

    fn left_out<const N: usize>(reasons: [(Reason, u64); N]) -> Vec<LeftOut> {
        reasons.map(|(reason, count)| LeftOut { reason, count }).to_vec()
    }

    #[test]
    fn songs_and_what_lies_beside_them_are_found_and_the_rest_is_counted() {
        let world = World::new();
        for path in ["A/B/1.mp3", "A/B/2.MP3", "A/top.mp3", "ünï.mp3"] {
            world.write(path, MP3);
        }
        world.write("A/B/cover.jpg", &[0xff, 0xd8, 0xff]);
        world.write("A/B/rip.log", b"x");
        world.write("A/B/huge.nfo", &vec![b'x'; (1 << 20) + 1]);
        world.write("Letters/dear.txt", b"x");
        world.write("Fakes/fake.mp3", b"Dear Anna");
        world.write("Fakes/private.txt", b"x");
        world.write("A/program.exe", b"MZ");
        world.write("A/empty.mp3", b"");
        world.write("A/.hidden.mp3", MP3);
        world.write(".hidden/1.mp3", MP3);
        world.write("Choir/.partial/1.mp3", MP3);
        let _socket = UnixListener::bind(world.root.join("A/socket.mp3")).unwrap();

        let (found, counted) = world.walk("", Extent::Below);
        assert_eq!(
            found,
            ["A/B/1.mp3", "A/B/2.MP3", "A/B/cover.jpg", "A/B/rip.log", "A/top.mp3", "Fakes/fake.mp3", "ünï.mp3"]
        );
        use Reason::*;
        assert_eq!(counted, left_out([(OtherKind, 3), (Empty, 1), (TooLarge, 1), (Hidden, 2), (NotAFile, 1)]));
    }

    #[test]
    fn a_walk_of_one_directory_or_one_branch_goes_no_further() {
        let world = World::new();
        ["1.mp3", "A/2.mp3", "A/B/3.mp3", "C/4.mp3"].iter().for_each(|path| world.write(path, MP3));
        assert_eq!(world.walk("A", Extent::Here).0, ["A/2.mp3"]);
        assert_eq!(world.walk("A", Extent::Below).0, ["A/2.mp3", "A/B/3.mp3"]);
        assert_eq!(world.walk("gone", Extent::Below), (vec![], vec![]));
    }

    #[test]
    fn links_lead_neither_out_nor_round_in_circles() {
        let world = World::new();
        world.write("A/1.mp3", MP3);
        let outside = world.root.with_file_name("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret.mp3"), MP3).unwrap();
        symlink(&outside, world.root.join("A/out")).unwrap();
        symlink(outside.join("secret.mp3"), world.root.join("A/out.mp3")).unwrap();
        symlink("nowhere", world.root.join("A/broken.mp3")).unwrap();
        symlink("..", world.root.join("A/loop")).unwrap();
        symlink("1.mp3", world.root.join("A/twin.mp3")).unwrap();
        // As if a directory had become a link since a change in it was noticed.
        assert_eq!(world.walk("A/out", Extent::Below), (vec![], vec![]));

        let (found, counted) = world.walk("", Extent::Below);
        assert_eq!(found, ["A/1.mp3"]);
        assert_eq!(counted, left_out([(Reason::LinkOutside, 2), (Reason::BrokenLink, 1)]));
    }

    #[test]
    fn private_and_bottomless_folders_are_left_out() {
        let mut world = World::new();
        world.write("Choir/1.mp3", MP3);
        world.write(&format!("{}1.mp3", "d/".repeat(MAX_DEPTH)), MP3);
        world.write(&format!("{}e/2.mp3", "d/".repeat(MAX_DEPTH)), MP3);
        world.private = vec![world.root.join("Choir")];
        let (found, counted) = world.walk("", Extent::Below);
        assert_eq!(found.len(), 1);
        // Even if somebody tells of a change in them.
        world.write("A/.hidden/B/1.mp3", MP3);
        ["Choir", "A/.hidden/B"].iter().for_each(|start| assert_eq!(world.walk(start, Extent::Below).0, [""; 0]));
        assert_eq!(counted, left_out([(Reason::TooDeep, 1), (Reason::KeptPrivate, 1)]));
    }
}
