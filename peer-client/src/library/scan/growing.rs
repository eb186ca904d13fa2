//! Files that are being written: recordings, downloads, albums on their way from another disk.
//!
//! Reading such a file is in vain, and for a large one it would be in vain again and again. So once a file has
//! changed while it was read, it is only read again when it looks the same twice.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::hash::Place;
use super::super::stamp::Stamp;

/// How long until such a file is looked at again: programs that write pause for less.
const WAIT: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Growing {
    /// What they looked like last.
    files: HashMap<Arc<Place>, Stamp>,
    /// When to look at which directory of which share again, in that order.
    checks: VecDeque<(Instant, i64, PathBuf)>,
}

impl Growing {
    /// A file changed while it was read.
    pub(super) fn add(&mut self, now: Instant, place: Arc<Place>, stamp: Stamp) {
        self.checks.push_back((now + WAIT, place.share, place.directory.clone()));
        self.files.insert(place, stamp);
    }

    /// Whether a file that looks so now may be read. If not, it will be looked at again.
    pub(super) fn may_read(&mut self, now: Instant, place: &Arc<Place>, stamp: Stamp) -> bool {
        match self.files.remove(place) {
            Some(before) if before != stamp => {
                self.add(now, Arc::clone(place), stamp);
                false
            }
            _ => true,
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.checks.front().map(|(due, ..)| *due)
    }

    /// A directory that is to be looked at now.
    pub(super) fn take(&mut self, now: Instant) -> Option<(i64, PathBuf)> {
        let (_, share, directory) = self.checks.pop_front_if(|(due, ..)| *due <= now)?;
        Some((share, directory))
    }

    /// Nothing of this share matters any more.
    pub(super) fn forget(&mut self, share: i64) {
        self.files.retain(|place, _| place.share != share);
        self.checks.retain(|(_, of, _)| *of != share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_looks_the_same_twice() {
        let now = Instant::now();
        let place = Arc::new(Place { share: 1, directory: "a".into(), name: "song".into() });
        let stamp = |size| Stamp { size, mtime_ns: 0, ctime_ns: 0, inode: 1 };
        let mut growing = Growing::default();
        assert!(growing.may_read(now, &place, stamp(1)));
        growing.add(now, Arc::clone(&place), stamp(2));
        assert_eq!(growing.take(now), None);
        assert_eq!(growing.take(now + WAIT), Some((1, "a".into())));
        assert!(!growing.may_read(now, &place, stamp(3)));
        assert_eq!(growing.due(), Some(now + WAIT));
        assert!(growing.may_read(now, &place, stamp(3)));
        assert!(growing.may_read(now, &place, stamp(4)));
        growing.forget(1);
        assert_eq!(growing.due(), None);
    }
}
