//! How a complete part becomes a file.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use choir_shared::merkle::TreeHasher;
use choir_shared::{FileId, SafeName};

use super::StoreError;
use super::disk::{Disk, DiskFile, Folder};
use super::part::{Part, layer_draft_name, layer_name, part_name};

/// "Title (2).ogg" … "Title (999).ogg"; a thousand files of one name are a mistake somewhere else.
const MOST_NUMBERS: u32 = 999;

/// How much of a finished file is read at once when it is looked for.
const READ_BYTES: usize = 1 << 20;

/// Two that finish at the same time must see each other's names: the kernel keeps apart only those that are equal
/// letter by letter.
static NAMING: Mutex<()> = Mutex::new(());

impl Part {
    /// Puts the file in its place. All leaves must be there; that proves the root, so nothing is read again.
    /// Returns the name it got, in the folder it was begun below.
    pub fn finish(&self, name: &SafeName) -> Result<SafeName, StoreError> {
        self.sync()?;
        let name = self.rename(name).map_err(StoreError::io("finish", &self.path))?;
        self.folder.sync_names().map_err(StoreError::io("save the folder of", &self.path))?;
        tidy(&*self.folder, self.id);
        Ok(name)
    }

    fn rename(&self, name: &SafeName) -> io::Result<SafeName> {
        let _turn = NAMING.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = collision_keys(&self.folder.names()?);
        for candidate in candidates(name).filter(|candidate| !taken.contains(&candidate.collision_key())) {
            match self.rename_to(&candidate) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(candidate),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// `rename` would replace; the kernel can refuse to, and where the file system cannot, a hard link does.
    fn rename_to(&self, name: &SafeName) -> io::Result<()> {
        let part = part_name(self.id);
        match self.folder.finish_draft(&part, name.as_str()) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.folder.link_draft(&part, name.as_str())?;
                self.folder.remove_draft(&part)
            }
            other => other,
        }
    }
}

/// Looks for a file that an earlier run finished, but did not live to report: as `name`, or that with a number.
/// Its bytes are compared, so whatever else has the name is left alone and not taken for it.
pub fn find_finished(
    disk: &dyn Disk,
    folder: &Path,
    id: FileId,
    name: &SafeName,
) -> Result<Option<SafeName>, StoreError> {
    let find = || {
        let folder = disk.open(folder)?;
        let names: HashSet<String> = folder.names()?.into_iter().collect();
        let taken = collision_keys(&names);
        let candidates = candidates(name).take_while(|candidate| taken.contains(&candidate.collision_key()));
        for candidate in candidates.filter(|candidate| names.contains(candidate.as_str())) {
            let holds = match folder.finished(candidate.as_str()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                file => holds(&*file?, id)?,
            };
            if holds {
                folder.sync_names()?;
                let _ = folder.remove_draft(&part_name(id));
                tidy(&*folder, id);
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    };
    find().map_err(StoreError::io("look into", folder))
}

fn holds(file: &dyn DiskFile, id: FileId) -> io::Result<bool> {
    let length = id.length().bytes();
    if file.size()? != length {
        return Ok(false);
    }
    let (mut hasher, mut buffer, mut read) = (TreeHasher::new(), vec![0; READ_BYTES], 0);
    while read < length {
        let piece = &mut buffer[..(length - read).min(READ_BYTES as u64) as usize];
        file.read_exact_at(piece, read)?;
        hasher.update(piece);
        read += piece.len() as u64;
    }
    Ok(hasher.finish().is_ok_and(|found| found.id == id))
}

/// `.partial` stays if other downloads are under way. If something else stays, it is in nobody's way.
fn tidy(folder: &dyn Folder, id: FileId) {
    let _ = folder.remove_draft(&layer_name(id));
    let _ = folder.remove_draft(&layer_draft_name(id));
    folder.remove_partial();
}

fn candidates(name: &SafeName) -> impl Iterator<Item = SafeName> {
    std::iter::once(name.clone()).chain((2..=MOST_NUMBERS).map(|number| name.numbered(number)))
}

/// Names that differ only in case are one name on many systems.
fn collision_keys<'a>(names: impl IntoIterator<Item = &'a String>) -> HashSet<String> {
    let safe = names.into_iter().filter_map(|name| SafeName::new(name).ok());
    safe.map(|name| name.collision_key()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::{fs, thread};

    use choir_shared::leaf::LEAF_BYTES;
    use choir_shared::merkle::{HashedFile, TreeLayer};

    use super::*;
    use crate::store::PARTIAL_FOLDER;

    fn song(bytes: usize) -> (Vec<u8>, HashedFile) {
        let data: Vec<u8> = (0..bytes).map(|n| (n * 31 + (n >> 8) * 17) as u8).collect();
        let mut hasher = TreeHasher::new();
        hasher.update(&data);
        (data, hasher.finish().unwrap())
    }

    fn safe(name: &str) -> SafeName {
        SafeName::new(name).unwrap()
    }

    fn fetched(folder: &Path, data: &[u8], file: &HashedFile) -> Part {
        let part = Part::open(folder, file.id).unwrap();
        part.write(file.id.length().leaf(0).unwrap(), data).unwrap();
        part
    }

    /// As a program leaves it that is killed at the wrong moment.
    fn half_saved_layer(folder: &Path, file: &HashedFile) {
        fs::write(folder.join(PARTIAL_FOLDER).join(layer_draft_name(file.id)), b"half").unwrap();
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
        half_saved_layer(folder.path(), &file);
        assert_eq!(part.finish(&safe("Song.ogg")).unwrap().as_str(), "Song.ogg");
        assert_eq!(fs::read(folder.path().join("Song.ogg")).unwrap(), data);
        assert!(!folder.path().join(PARTIAL_FOLDER).exists());
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
            let folded: HashSet<_> = names.map(|name| name.to_lowercase()).collect();
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
    fn a_part_that_has_another_name_as_well_is_not_written_into() {
        let folder = tempfile::tempdir().unwrap();
        let (data, file) = song(10);
        fs::create_dir(folder.path().join(PARTIAL_FOLDER)).unwrap();
        fs::write(folder.path().join("mine.ogg"), b"precious").unwrap();
        fs::hard_link(folder.path().join("mine.ogg"), folder.path().join(PARTIAL_FOLDER).join(part_name(file.id)))
            .unwrap();
        fetched(folder.path(), &data, &file).finish(&safe("Song.ogg")).unwrap();
        assert_eq!(fs::read(folder.path().join("mine.ogg")).unwrap(), b"precious");
        assert_eq!(fs::read(folder.path().join("Song.ogg")).unwrap(), data);
    }

    #[test]
    fn discarding_removes_the_part_and_its_layer() {
        let folder = tempfile::tempdir().unwrap();
        let (data, file) = song(10);
        let part = fetched(folder.path(), &data, &file);
        half_saved_layer(folder.path(), &file);
        part.discard().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
