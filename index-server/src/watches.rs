//! Who waits for which file.
//!
//! A download that waits must start within seconds of a source appearing, whether or not it knows others that are of
//! no use to it, and nobody should have to ask again and again. A peer's list is replaced as a whole and ends with its control connection. A file may be waited for before
//! the index knows it at all; it is found by its id then, and by its number as soon as it has one.

use std::collections::{HashMap, HashSet};

use choir_shared::{FileId, PeerId};

use crate::store::FileNo;

#[derive(Default)]
pub(crate) struct Watches {
    by_peer: HashMap<PeerId, Vec<FileId>>,
    watched: HashMap<FileId, Watched>,
    /// The watched files that have a number.
    numbered: HashMap<FileNo, FileId>,
}

#[derive(Default)]
struct Watched {
    by: HashSet<PeerId>,
    number: Option<FileNo>,
}

impl Watches {
    /// Replaces the list of `peer`, and returns the one before. What is in both is waited for all the time.
    pub(crate) fn replace(&mut self, peer: PeerId, files: Vec<FileId>) -> HashSet<FileId> {
        let before = self.by_peer.remove(&peer).unwrap_or_default();
        for file in &files {
            self.watched.entry(*file).or_default().by.insert(peer);
        }
        let stays: HashSet<&FileId> = files.iter().collect();
        before.iter().filter(|file| !stays.contains(file)).for_each(|file| self.let_go(file, &peer));
        if !files.is_empty() {
            self.by_peer.insert(peer, files);
        }
        before.into_iter().collect()
    }

    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.by_peer.remove(peer).unwrap_or_default().iter().for_each(|file| self.let_go(file, peer));
    }

    fn let_go(&mut self, file: &FileId, peer: &PeerId) {
        let Some(watched) = self.watched.get_mut(file) else { return };
        watched.by.remove(peer);
        if watched.by.is_empty() {
            watched.number.map(|number| self.numbered.remove(&number));
            self.watched.remove(file);
        }
    }

    /// A file that may be watched has this number.
    pub(crate) fn learn(&mut self, file: FileId, number: FileNo) {
        if let Some(watched) = self.watched.get_mut(&file) {
            // A file that was swept and is shared again has another number.
            watched.number.replace(number).map(|before| self.numbered.remove(&before));
            self.numbered.insert(number, file);
        }
    }

    pub(crate) fn is_watched(&self, file: &FileId) -> bool {
        self.watched.contains_key(file)
    }

    /// Those of `files` that somebody waits for.
    pub(crate) fn watched_among(&self, files: &[FileNo]) -> Vec<FileNo> {
        // Most of the time nobody waits for anything, and a library has many files.
        if self.numbered.is_empty() {
            return Vec::new();
        }
        files.iter().copied().filter(|number| self.numbered.contains_key(number)).collect()
    }

    /// Who is to be told that these files have a source: everyone who waits, but for the source itself.
    pub(crate) fn to_tell(&self, files: &[FileNo], source: &PeerId) -> HashMap<PeerId, Vec<FileId>> {
        let mut news: HashMap<PeerId, Vec<FileId>> = HashMap::new();
        for file in files.iter().filter_map(|number| self.numbered.get(number)) {
            let watchers = self.watched.get(file).into_iter().flat_map(|watched| &watched.by);
            for watcher in watchers.filter(|watcher| *watcher != source) {
                news.entry(*watcher).or_default().push(*file);
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;

    use super::*;

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_seed(&[seed; 32]).peer_id()
    }

    fn file(digit: char) -> FileId {
        format!("{}-1", digit.to_string().repeat(64)).parse().unwrap()
    }

    #[test]
    fn all_who_wait_are_told_but_not_the_source() {
        let mut watches = Watches::default();
        watches.replace(peer(1), vec![file('a'), file('b')]);
        watches.replace(peer(2), vec![file('a')]);
        watches.learn(file('a'), FileNo(1));
        watches.learn(file('c'), FileNo(3));
        assert_eq!(watches.watched_among(&[FileNo(1), FileNo(3)]), [FileNo(1)]);
        let news = watches.to_tell(&[FileNo(1)], &peer(2));
        assert_eq!(news, HashMap::from([(peer(1), vec![file('a')])]));
    }

    #[test]
    fn what_is_in_both_lists_is_waited_for_all_the_time() {
        let mut watches = Watches::default();
        assert!(watches.replace(peer(1), vec![file('a'), file('b')]).is_empty());
        watches.learn(file('a'), FileNo(1));
        assert_eq!(watches.replace(peer(1), vec![file('a')]), HashSet::from([file('a'), file('b')]));
        assert_eq!(watches.to_tell(&[FileNo(1)], &peer(2)), HashMap::from([(peer(1), vec![file('a')])]));
        assert!(!watches.is_watched(&file('b')));
    }

    #[test]
    fn a_new_list_replaces_the_old_one_and_nothing_is_left_behind() {
        let mut watches = Watches::default();
        // Twice the same is no more than once.
        watches.replace(peer(1), vec![file('a'), file('a')]);
        watches.learn(file('a'), FileNo(7));
        watches.learn(file('a'), FileNo(1));
        watches.replace(peer(1), vec![file('b')]);
        assert!(watches.to_tell(&[FileNo(1), FileNo(7)], &peer(2)).is_empty());
        assert!(watches.is_watched(&file('b')));
        watches.forget(&peer(1));
        assert!(watches.watched.is_empty() && watches.numbered.is_empty() && watches.by_peer.is_empty());
    }
}
