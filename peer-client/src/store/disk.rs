//! What downloads ask of a disk. It is a trait so that tests can take the place of a disk that fills up, fails, or
//! loses its power, at every operation.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, fsync, linkat, openat, renameat_with};
use rustix::io::Errno;

use super::PARTIAL_FOLDER;

/// A disk, or what stands for one. All calls block.
pub trait Disk: Send + Sync + 'static {
    /// Opens a folder to download into. It and `.partial` below it are made if they are missing.
    fn open(&self, folder: &Path) -> io::Result<Box<dyn Folder>>;

    /// Bytes that still fit on the disk of `folder`, as far as its file system tells. A quota may leave less.
    fn room(&self, folder: &Path) -> Option<u64>;
}

/// A folder to download into. Drafts lie in `.partial` below it.
pub trait Folder: Send + Sync {
    /// Opens a draft for reading and writing, or begins it.
    fn draft(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// The contents of a draft.
    fn read_draft(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Gives a draft another name, in place of whatever has it.
    fn replace_draft(&self, from: &str, to: &str) -> io::Result<()>;

    fn remove_draft(&self, name: &str) -> io::Result<()>;

    /// Makes a draft a finished file, unless the name is taken. `Unsupported` where the file system cannot do that in
    /// one step.
    fn finish_draft(&self, draft: &str, name: &str) -> io::Result<()>;

    /// Gives a draft a second name, that of a finished file, unless the name is taken.
    fn link_draft(&self, draft: &str, name: &str) -> io::Result<()>;

    /// The names of all finished files, and whatever else lies there.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Opens a finished file for reading.
    fn finished(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Waits until the names of finished files are on the disk.
    fn sync_names(&self) -> io::Result<()>;

    /// Removes `.partial`, if it is empty.
    fn remove_partial(&self);
}

/// An open file.
pub trait DiskFile: Send + Sync {
    fn size(&self) -> io::Result<u64>;

    /// By how many names it can be found.
    fn names(&self) -> io::Result<u64>;

    fn set_len(&self, bytes: u64) -> io::Result<()>;

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()>;

    /// Waits until the contents are on the disk.
    fn sync(&self) -> io::Result<()>;

    /// Another handle.
    fn handle(&self) -> io::Result<File>;
}

/// The disks of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn open(&self, folder: &Path) -> io::Result<Box<dyn Folder>> {
        make_folder(folder)?;
        let folder = Dir::open_ambient_dir(folder, ambient_authority())?;
        folder.create_dir_all(PARTIAL_FOLDER)?;
        let partial = folder.open_dir(PARTIAL_FOLDER)?;
        Ok(Box::new(LocalFolder { folder, partial }))
    }

    fn room(&self, folder: &Path) -> Option<u64> {
        let disk = rustix::fs::statvfs(folder).ok()?;
        // Some network file systems say that they have no size at all.
        (disk.f_blocks > 0).then(|| disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

/// Makes a folder and those above it. A finished file is only as safe as the names of the folders it lies in, so these
/// are on the disk when this returns.
fn make_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<PathBuf> = folder.ancestors().take_while(|above| !above.exists()).map(Path::to_path_buf).collect();
    std::fs::create_dir_all(folder)?;
    for made in missing {
        // A relative path begins in the folder we are in.
        let above = made.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        File::open(above)?.sync_all()?;
    }
    Ok(())
}

struct LocalFolder {
    folder: Dir,
    partial: Dir,
}

impl Folder for LocalFolder {
    fn draft(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = self.partial.open_with(name, OpenOptions::new().read(true).write(true).create(true))?;
        Ok(Box::new(file.into_std()))
    }

    fn read_draft(&self, name: &str) -> io::Result<Vec<u8>> {
        self.partial.read(name)
    }

    fn replace_draft(&self, from: &str, to: &str) -> io::Result<()> {
        self.partial.rename(from, &self.partial, to)
    }

    fn remove_draft(&self, name: &str) -> io::Result<()> {
        self.partial.remove_file(name)
    }

    fn finish_draft(&self, draft: &str, name: &str) -> io::Result<()> {
        match renameat_with(&self.partial, draft, &self.folder, name, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
            other => Ok(other?),
        }
    }

    fn link_draft(&self, draft: &str, name: &str) -> io::Result<()> {
        Ok(linkat(&self.partial, draft, &self.folder, name, AtFlags::empty())?)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.folder.entries()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
    }

    fn finished(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        // Opening a pipe would wait for somebody to write into it.
        if !self.folder.symlink_metadata(name)?.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(self.folder.open(name)?.into_std()))
    }

    /// The handle itself only names the folder (`O_PATH`); syncing takes one that is open for reading.
    fn sync_names(&self) -> io::Result<()> {
        Ok(fsync(openat(&self.folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)?)
    }

    fn remove_partial(&self) {
        let _ = self.folder.remove_dir(PARTIAL_FOLDER);
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn names(&self) -> io::Result<u64> {
        Ok(self.metadata()?.nlink())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        Self::set_len(self, bytes)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, data, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn handle(&self) -> io::Result<File> {
        self.try_clone()
    }
}
