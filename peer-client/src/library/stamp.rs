//! How we know that a file is still the one that was hashed, without reading it.
//!
//! - **Size, time of change, and inode** must be what they were. Tag editors like to set the time of change back, so
//!   the *inode's* time of change, which nobody can set, must be the same as well.
//! - **Some file systems make their inode numbers up** anew at every mount (FAT, exFAT, most of FUSE and SMB). There a
//!   number would call every file changed after every reboot, so a stamp can do without ([`Stamp::without_inode`]).
//! - **The device is no part of it**: disks get their numbers in the order in which they wake up.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// What a file looked like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    pub size: u64,
    pub mtime_ns: i64,
    /// 0 where the inode is.
    pub ctime_ns: i64,
    /// 0, which no file has, where the file system makes numbers up.
    pub inode: u64,
}

impl Stamp {
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    #[must_use]
    pub fn without_inode(self) -> Self {
        Self { ctime_ns: 0, inode: 0, ..self }
    }

    /// Whether a file that looks like `now` has not been touched since this stamp was taken.
    pub fn still_holds(&self, now: &Self) -> bool {
        let now = if self.inode == 0 { now.without_inode() } else { *now };
        *self == now
    }

    /// Whether it is the same file, perhaps under another name: renaming changes the inode's time and nothing else.
    pub fn is_same_file(&self, other: &Self) -> bool {
        let identity = |stamp: &Self| (stamp.size, stamp.mtime_ns, stamp.inode);
        identity(self) == identity(other)
    }
}

/// Saturating: a time that does not fit lies in the year 2262, and is only ever compared.
fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_file_is_the_same_and_an_edited_one_with_its_time_set_back_is_not_unchanged() {
        let stamp = Stamp { size: 10, mtime_ns: 5, ctime_ns: 5, inode: 7 };
        let later = Stamp { ctime_ns: 6, ..stamp };
        assert!(stamp.still_holds(&stamp));
        assert!(!stamp.still_holds(&later));
        assert!(stamp.is_same_file(&later));
        assert!(!stamp.is_same_file(&Stamp { inode: 8, ..stamp }));
    }

    #[test]
    fn where_inodes_are_made_up_only_size_and_time_count() {
        let stamp = Stamp { size: 10, mtime_ns: 5, ctime_ns: 5, inode: 7 }.without_inode();
        assert!(stamp.still_holds(&Stamp { ctime_ns: 9, inode: 3, ..stamp }));
        assert!(!stamp.still_holds(&Stamp { mtime_ns: 9, ..stamp }));
    }
}
