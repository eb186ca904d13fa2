//! What lies in a shared folder and is not shared, counted, so that nobody has to wonder.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Why a file or folder is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Neither a song nor something that belongs to songs.
    OtherKind,
    /// It has the name of a song or picture, and not the contents.
    NotWhatItsNameSays,
    Empty,
    TooLarge,
    Hidden,
    /// A link to something outside the shared folder. What lies inside is shared where it lies.
    LinkOutside,
    BrokenLink,
    /// The person may not read it, or the disk cannot.
    Unreadable,
    /// A pipe, a socket, a device.
    NotAFile,
    TooDeep,
    /// A folder that its owner keeps to himself: finished downloads, unless they are shared on.
    KeptPrivate,
    /// The same file lies in another place of the same collection, and is shared there.
    Duplicate,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherKind => "not music",
            Self::NotWhatItsNameSays => "not what the name says",
            Self::Empty => "empty",
            Self::TooLarge => "too large",
            Self::Hidden => "hidden",
            Self::LinkOutside => "links that leave the folder",
            Self::BrokenLink => "broken links",
            Self::Unreadable => "cannot be read",
            Self::NotAFile => "neither file nor folder",
            Self::TooDeep => "nested too deep",
            Self::KeptPrivate => "downloads that are not shared",
            Self::Duplicate => "second copies",
        })
    }
}

/// So many files were left out for this reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub reason: Reason,
    pub count: u64,
}

/// Counts by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally(BTreeMap<Reason, u64>);

impl Tally {
    pub(crate) fn add(&mut self, reason: Reason, count: u64) {
        if count > 0 {
            *self.0.entry(reason).or_default() += count;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn include(&mut self, other: &Self) {
        other.0.iter().for_each(|(&reason, &count)| self.add(reason, count));
    }

    pub(crate) fn to_list(&self) -> Vec<LeftOut> {
        self.0.iter().map(|(&reason, &count)| LeftOut { reason, count }).collect()
    }
}

/// What is left out of one share, by folder, so that looking at one folder again replaces what was known of it.
/// Folders that leave nothing out take no memory.
#[derive(Debug, Default)]
pub(crate) struct LeftOutByFolder(BTreeMap<PathBuf, Tally>);

impl LeftOutByFolder {
    pub(crate) fn set(&mut self, folder: &Path, tally: Tally) {
        if tally.is_empty() {
            self.0.remove(folder);
        } else {
            self.0.insert(folder.to_owned(), tally);
        }
    }

    pub(crate) fn add(&mut self, folder: &Path, reason: Reason) {
        self.0.entry(folder.to_owned()).or_default().add(reason, 1);
    }

    /// Forgets `folder` and all below.
    pub(crate) fn forget(&mut self, folder: &Path) {
        self.0.retain(|path, _| !path.starts_with(folder));
    }

    pub(crate) fn total(&self) -> Tally {
        let mut total = Tally::default();
        self.0.values().for_each(|tally| total.include(tally));
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_again_replaces_and_forgetting_takes_all_below() {
        let mut left_out = LeftOutByFolder::default();
        let hidden = |count| {
            let mut tally = Tally::default();
            tally.add(Reason::Hidden, count);
            tally
        };
        left_out.set(Path::new("a"), hidden(3));
        left_out.set(Path::new("a/b"), hidden(4));
        left_out.set(Path::new("ab"), hidden(5));
        left_out.set(Path::new("a"), hidden(1));
        left_out.add(Path::new("a"), Reason::Empty);
        assert_eq!(
            left_out.total().to_list(),
            [LeftOut { reason: Reason::Empty, count: 1 }, LeftOut { reason: Reason::Hidden, count: 10 }]
        );
        left_out.forget(Path::new("a"));
        left_out.set(Path::new("ab"), hidden(2));
        assert_eq!(left_out.total().to_list(), [LeftOut { reason: Reason::Hidden, count: 2 }]);
    }
}
