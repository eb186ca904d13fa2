//! What kind of disk a folder lies on.
//!
//! - **A rotating disk has one reader**: two make its arm travel between them, and both get a tenth. Everything else
//!   has as many readers as there are processors, because hashing keeps one busy.
//! - **Virtual disks say that they rotate** because nobody told them otherwise; they are not believed.
//! - **Some file systems make inode numbers up** at every mount; see [`super::super::Stamp`].
//! - **Network file systems tell nobody of changes that other machines make**, so they must be polled.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::stamp::Stamp;

/// Whether inode numbers outlive a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inodes {
    Lasting,
    MadeUp,
}

impl Inodes {
    pub(crate) fn stamp(self, metadata: &Metadata) -> Stamp {
        self.adapt(Stamp::of(metadata))
    }

    pub(crate) fn adapt(self, stamp: Stamp) -> Stamp {
        match self {
            Self::Lasting => stamp,
            Self::MadeUp => stamp.without_inode(),
        }
    }
}

/// What the file system of a folder is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileSystem {
    pub(crate) inodes: Inodes,
    /// Why changes cannot be noticed there, if they cannot.
    pub(crate) unwatchable: Option<&'static str>,
}

impl FileSystem {
    #[cfg(target_os = "linux")]
    pub(crate) fn of(path: &Path) -> Self {
        // The numbers are 32 bits wide, whatever the width of the field.
        rustix::fs::statfs(path).map_or(Self::ORDINARY, |found| Self::of_magic(found.f_type as u32))
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn of(_path: &Path) -> Self {
        Self::ORDINARY
    }

    const ORDINARY: Self = Self { inodes: Inodes::Lasting, unwatchable: None };

    /// By the numbers of `statfs(2)`.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    const fn of_magic(magic: u32) -> Self {
        const NETWORK: Option<&str> = Some("changes made by other machines on a network folder go unnoticed");
        match magic {
            // NFS, AFS, Ceph.
            0x6969 | 0x5346_414f | 0x00c3_6400 => Self { inodes: Inodes::Lasting, unwatchable: NETWORK },
            // SMB, CIFS, SMB2, 9p, Coda.
            0x517b | 0xff53_4d42 | 0xfe53_4d42 | 0x0102_1997 | 0x7375_7245 => {
                Self { inodes: Inodes::MadeUp, unwatchable: NETWORK }
            }
            // FUSE: sshfs, rclone, mergerfs, ntfs-3g.
            0x6573_5546 => {
                Self { inodes: Inodes::MadeUp, unwatchable: Some("changes behind a FUSE file system go unnoticed") }
            }
            // FAT, exFAT.
            0x4d44 | 0x2011_bab0 => Self { inodes: Inodes::MadeUp, unwatchable: None },
            _ => Self::ORDINARY,
        }
    }
}

/// How many files of a disk are read at the same time, if `processors` can hash.
pub(crate) fn readers(folder: &Metadata, processors: usize) -> usize {
    if rotates(folder.dev()) == Some(true) { 1 } else { processors }
}

/// What the kernel says of the disk; nothing for file systems without one.
fn rotates(dev: u64) -> Option<bool> {
    let (major, minor) = (rustix::fs::major(dev), rustix::fs::minor(dev));
    let device = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    // A partition has no queue of its own; its disk is the folder above.
    let queue = |device: &Path| {
        fs::read_to_string(device.join("queue/rotational")).ok().map(|text| (PathBuf::from(device), text))
    };
    let (disk, flag) = queue(&device).or_else(|| queue(device.parent()?))?;
    let name = disk.file_name()?.to_str()?;
    Some(flag.trim() == "1" && !is_virtual(name))
}

fn is_virtual(disk: &str) -> bool {
    ["vd", "xvd", "loop", "ram", "zram"].iter().any(|prefix| disk.starts_with(prefix))
}

/// Tells the kernel that the file will be read from front to back, which doubles how far it reads ahead.
pub(crate) fn read_ahead(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_folders_are_polled_and_fat_has_no_lasting_inodes() {
        assert_eq!(FileSystem::of_magic(0xef53), FileSystem::ORDINARY);
        assert!(FileSystem::of_magic(0x6969).unwatchable.is_some());
        assert_eq!(FileSystem::of_magic(0xfe53_4d42).inodes, Inodes::MadeUp);
        assert_eq!(FileSystem::of_magic(0x4d44), FileSystem { inodes: Inodes::MadeUp, unwatchable: None });
    }

    #[test]
    fn the_disk_of_a_temporary_folder_is_read_by_somebody() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = folder.path().metadata().unwrap();
        assert!([1, 8].contains(&readers(&metadata, 8)));
        assert!(is_virtual("vda") && !is_virtual("sda"));
        assert_eq!(FileSystem::of(Path::new("/nowhere")), FileSystem::ORDINARY);
    }
}
