//! How a complete part becomes a file.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use choir_shared::SafeName;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, fsync, linkat, openat, renameat_with, unlinkat};
use rustix::io::Errno;

use super::part::{Part, layer_name, part_name};
use super::{PARTIAL_FOLDER, StoreError};

/// "Title (2).ogg" … "Title (999).ogg"; a thousand files of one name are a mistake somewhere else.
const MOST_NUMBERS: u32 = 999;

/// Two that finish at the same time must see each other's names: the kernel keeps apart only those that are equal
/// letter by letter.
static NAMING: Mutex<()> = Mutex::new(());

impl Part {
    /// Puts the file in its place. All leaves must be there; that proves the root, so nothing is read again.
    /// Returns the name it got, in the folder it was begun below.
    pub fn finish(&self, name: &SafeName) -> Result<SafeName, StoreError> {
        if self.syncing.failed.load(Ordering::Relaxed) {
            return Err(StoreError::io("save", &self.path)(io::Error::other("an earlier part of it was lost")));
        }
        self.sync()?;
        let name = self.rename(name).map_err(StoreError::io("finish", &self.path))?;
        self.sync_folder().map_err(StoreError::io("save the folder of", &self.path))?;
        let _ = self.partial.remove_file(layer_name(self.id));
        // Stays if other downloads are under way.
        let _ = self.folder.remove_dir(PARTIAL_FOLDER);
        Ok(name)
    }

    /// The handle itself only names the folder (`O_PATH`); syncing takes one that is open for reading.
    fn sync_folder(&self) -> io::Result<()> {
        Ok(fsync(openat(&self.folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)?)
    }

    fn rename(&self, name: &SafeName) -> io::Result<SafeName> {
        let _turn = NAMING.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = self.names_in_folder()?;
        let candidates = std::iter::once(name.clone()).chain((2..=MOST_NUMBERS).map(|number| name.numbered(number)));
        for candidate in candidates.filter(|candidate| !taken.contains(&candidate.collision_key())) {
            match self.rename_to(&candidate) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(candidate),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Names that differ only in case are one name on many systems.
    fn names_in_folder(&self) -> io::Result<std::collections::HashSet<String>> {
        let names = self.folder.entries()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter_map(|name| SafeName::new(&name).ok()).map(|name| name.collision_key()).collect())
    }

    /// `rename` would replace; the kernel can refuse to, and where the file system cannot, a hard link does.
    fn rename_to(&self, name: &SafeName) -> io::Result<()> {
        let part = part_name(self.id);
        match renameat_with(&self.partial, &part, &self.folder, name.as_str(), RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                linkat(&self.partial, &part, &self.folder, name.as_str(), AtFlags::empty())?;
                Ok(unlinkat(&self.partial, &part, AtFlags::empty())?)
            }
            other => Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::{fs, thread};

    use choir_shared::leaf::LEAF_BYTES;
    use choir_shared::merkle::{HashedFile, TreeHasher, TreeLayer};

    use super::*;

    fn song(bytes: usize) -> (Vec<u8>, HashedFile) {
        let data: Vec<u8> = (0..bytes).map(|n| (n * 31 + (n >> 8) * 17) as u8).collect();
        let mut hasher = TreeHasher::new();
        hasher.update(&data);
        (data, hasher.finish().unwrap())
    }

    fn safe(name: &str) -> SafeName {
        SafeName::new(name).unwrap()
    }

    fn fetched(folder: &std::path::Path, data: &[u8], file: &HashedFile) -> Part {
        let part = Part::open(folder, file.id).unwrap();
        part.write(file.id.length().leaf(0).unwrap(), data).unwrap();
        part
    }

    #[test]
    fn a_part_resumes_with_exactly_the_leaves_that_are_good() {
        let folder = tempfile::tempdir().unwrap();
        let (data, file) = song(5 * LEAF_BYTES as usize + 7);
        let length = file.id.length();
        let layer = TreeLayer::of_leaves(file.id, &file.leaves).unwrap();
        let part = Part::open(folder.path(), file.id).unwrap();
        assert!(part.resume().unwrap().is_none(), "without a layer nothing is proved");
        part.save_layer(&layer).unwrap();
        for leaf in [1, 5] {
            let range = length.byte_range(length.range(leaf, 1).unwrap());
            part.write(length.leaf(leaf).unwrap(), &data[range.start as usize..range.end as usize]).unwrap();
        }
        part.write(length.leaf(3).unwrap(), b"not what belongs here").unwrap();
        drop(part);

        let resumed = Part::open(folder.path(), file.id).unwrap().resume().unwrap().unwrap();
        let held: Vec<_> = length.whole().leaves().filter(|leaf| resumed.held.contains(*leaf)).collect();
        assert_eq!(held, [length.leaf(1).unwrap(), length.leaf(5).unwrap()]);
    }

    #[test]
    fn a_finished_file_is_whole_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (data, file) = song(100_000);
        let part = fetched(folder.path(), &data, &file);
        part.save_layer(&TreeLayer::of_leaves(file.id, &file.leaves).unwrap()).unwrap();
        assert_eq!(part.finish(&safe("Song.ogg")).unwrap().as_str(), "Song.ogg");
        assert_eq!(fs::read(folder.path().join("Song.ogg")).unwrap(), data);
        assert!(!folder.path().join(PARTIAL_FOLDER).exists());
    }

    #[test]
    fn a_sync_that_failed_once_is_never_made_good_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let (data, file) = song(10);
        let part = fetched(folder.path(), &data, &file);
        part.syncing.failed.store(true, Ordering::Relaxed);
        assert!(part.finish(&safe("Song.ogg")).is_err());
        assert!(!folder.path().join("Song.ogg").exists());
    }

    #[test]
    fn a_part_that_could_not_be_synced_is_not_believed_again() {
        let folder = tempfile::tempdir().unwrap();
        let (data, file) = song(100_000);
        let mut part = fetched(folder.path(), &data, &file);
        part.save_layer(&TreeLayer::of_leaves(file.id, &file.leaves).unwrap()).unwrap();
        // A device that cannot be synced.
        part.file = fs::File::open("/dev/null").unwrap();
        assert!(part.finish(&safe("Song.ogg")).is_err());
        let again = Part::open(folder.path(), file.id).unwrap().resume().unwrap().unwrap();
        assert_eq!(again.held.bytes(), 0);
    }

    #[test]
    fn nothing_is_replaced_not_even_a_name_in_another_case() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("song.OGG"), b"mine").unwrap();
        let (data, file) = song(10);
        assert_eq!(fetched(folder.path(), &data, &file).finish(&safe("Song.ogg")).unwrap().as_str(), "Song (2).ogg");
        assert_eq!(fetched(folder.path(), &data, &file).finish(&safe("Song.ogg")).unwrap().as_str(), "Song (3).ogg");
        assert_eq!(fs::read(folder.path().join("song.OGG")).unwrap(), b"mine");
    }

    #[test]
    fn two_that_finish_at_the_same_time_get_names_that_differ_in_more_than_case() {
        for _ in 0..200 {
            let folder = tempfile::tempdir().unwrap();
            let barrier = Barrier::new(2);
            thread::scope(|scope| {
                for (name, bytes) in [("Same.wav", 10), ("SAME.WAV", 20)] {
                    let (data, file) = song(bytes);
                    let part = fetched(folder.path(), &data, &file);
                    let barrier = &barrier;
                    scope.spawn(move || {
                        barrier.wait();
                        part.rename(&safe(name)).unwrap();
                    });
                }
            });
            let names =
                fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let folded: std::collections::HashSet<_> = names.map(|name| name.to_lowercase()).collect();
            assert_eq!(folded.len(), 3, "two songs and the folder of parts: {folded:?}");
        }
    }

    #[test]
    fn a_planted_link_is_not_followed_out_of_the_folder() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (_, file) = song(10);
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join(PARTIAL_FOLDER)).unwrap();
        assert!(Part::open(folder.path(), file.id).is_err());

        fs::remove_file(folder.path().join(PARTIAL_FOLDER)).unwrap();
        fs::create_dir(folder.path().join(PARTIAL_FOLDER)).unwrap();
        let target = elsewhere.path().join("precious");
        fs::write(&target, b"precious").unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join(PARTIAL_FOLDER).join(part_name(file.id))).unwrap();
        assert!(Part::open(folder.path(), file.id).is_err());
        assert_eq!(fs::read(&target).unwrap(), b"precious");
    }

    #[test]
    fn discarding_removes_the_part_and_its_layer() {
        let folder = tempfile::tempdir().unwrap();
        let (data, file) = song(10);
        fetched(folder.path(), &data, &file).discard().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
