//! What is in a directory against what is known of it.
//!
//! - **The same stamp is the same file**, and costs nothing.
//! - **A file that had vanished and is back** is recognised by everything but the time of its inode, which moving it
//!   away and back has changed.
//! - **A file that stayed and whose inode's time alone changed is read again**: tag editors set all other times back.

use std::collections::HashMap;

use super::super::stamp::Stamp;
use super::super::store::KnownFile;
use super::super::walk::Found;

#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Described by an earlier version of the program: hashes are kept.
    pub(super) to_describe: Vec<KnownFile>,
    /// Back, and as before.
    pub(super) back: Vec<(KnownFile, Stamp)>,
    /// Nothing is known of a file of this name. It may have had another.
    pub(super) fresh: Vec<Found>,
    /// Not what it was.
    pub(super) changed: Vec<Found>,
    pub(super) gone: Vec<KnownFile>,
}

pub(super) fn compare(found: Vec<Found>, known: Vec<KnownFile>) -> Comparison {
    let mut known: HashMap<_, _> = known.into_iter().map(|file| (file.name.clone(), file)).collect();
    let mut result = Comparison::default();
    for found in found {
        match known.remove(&found.name) {
            None => result.fresh.push(found),
            Some(file) if file.is_gone => {
                if !file.stamp.is_same_file(&found.stamp) {
                    result.fresh.push(found);
                } else if file.is_described {
                    result.back.push((file, found.stamp));
                } else {
                    result.to_describe.push(file);
                }
            }
            Some(file) if !file.stamp.still_holds(&found.stamp) => result.changed.push(found),
            Some(file) if !file.is_described => result.to_describe.push(file),
            Some(_) => {}
        }
    }
    result.gone = known.into_values().filter(|file| !file.is_gone).collect();
    result
}

#[cfg(test)]
mod tests {
    use super::super::super::hash::KnownContent;
    use super::*;

    const STAMP: Stamp = Stamp { size: 10, mtime_ns: 20, ctime_ns: 30, inode: 40 };

    fn known(name: &str) -> KnownFile {
        KnownFile {
            id: 1,
            name: name.into(),
            stamp: STAMP,
            content: KnownContent { id: 1, audio: None },
            is_described: true,
            is_gone: false,
        }
    }

    fn found(name: &str, stamp: Stamp) -> Found {
        Found { name: name.into(), stamp }
    }

    /// The names in each part of the comparison, in the order of its members.
    fn names(found: Vec<Found>, known: Vec<KnownFile>) -> [Vec<String>; 5] {
        let result = compare(found, known);
        let known = |files: &[KnownFile]| files.iter().map(|file| file.name.display().to_string()).collect();
        let found = |files: &[Found]| files.iter().map(|file| file.name.display().to_string()).collect();
        let back = result.back.iter().map(|(file, _)| file.name.display().to_string()).collect();
        [known(&result.to_describe), back, found(&result.fresh), found(&result.changed), known(&result.gone)]
    }

    #[test]
    fn unchanged_files_are_left_alone() {
        assert_eq!(names(vec![found("a", STAMP)], vec![known("a")]).concat(), Vec::<String>::new());
    }

    #[test]
    fn every_other_file_is_dealt_with_once() {
        let edited = Stamp { ctime_ns: 31, ..STAMP };
        let other = Stamp { size: 11, ..STAMP };
        let gone = |name| KnownFile { is_gone: true, ..known(name) };
        let old = |name| KnownFile { is_described: false, ..known(name) };
        let on_disk = vec![
            found("old", STAMP),
            found("back", edited),
            found("back, but old", edited),
            found("new", STAMP),
            found("back, but another", other),
            found("edited", edited),
            found("another", other),
        ];
        let in_database = vec![
            old("old"),
            gone("back"),
            KnownFile { is_described: false, ..gone("back, but old") },
            gone("back, but another"),
            known("edited"),
            known("another"),
            known("gone"),
            gone("long gone"),
        ];
        let expected = [
            vec!["old", "back, but old"],
            vec!["back"],
            vec!["new", "back, but another"],
            vec!["edited", "another"],
            vec!["gone"],
        ];
        let expected = expected.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<String>>());
        assert_eq!(names(on_disk, in_database), expected);
    }
}
