//! Which indexes this peer belongs to: a small file that commands and the daemon change.
//!
//! - **One key for one URL.** Another key at a known URL is refused: that is what pinning is for. Whoever really wants
//!   it leaves the index first.
//! - **The same key at another URL** is the same index that moved.
//! - The file is replaced whole, so that a crash leaves the old or the new one.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use choir_shared::identity::IndexKey;
use choir_shared::library::DEFAULT_COLLECTION;
use serde::{Deserialize, Serialize};

use super::address::IndexUrl;

/// One joined index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    pub url: IndexUrl,
    /// By which it can be reached as well, as it said last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<IndexUrl>,
    /// Pinned: nobody else can pass for this index.
    pub key: IndexKey,
    /// What its operator calls it.
    pub index_name: String,
    /// This peer's display name there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What this index is told of.
    pub collections: Vec<String>,
    /// Named first where only one index can be meant.
    #[serde(default)]
    pub is_default: bool,
}

impl Membership {
    /// A membership as it begins.
    pub fn new(url: IndexUrl, key: IndexKey, index_name: &str) -> Self {
        Self {
            url,
            replicas: Vec::new(),
            key,
            index_name: index_name.to_owned(),
            name: None,
            collections: vec![DEFAULT_COLLECTION.to_owned()],
            is_default: false,
        }
    }
}

/// What [`Memberships::add`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    New,
    /// It was known; name, address or collections may have changed.
    Updated,
}

#[derive(Serialize, Deserialize)]
struct Document {
    indexes: Vec<Membership>,
}

/// The list, and the file it is kept in.
#[derive(Clone, Debug)]
pub struct Memberships {
    path: PathBuf,
    indexes: Vec<Membership>,
}

impl Memberships {
    /// The list in the file at `path`; an empty one if there is no such file.
    pub fn load(path: &Path) -> Result<Self, MembershipError> {
        let indexes = match std::fs::read(path) {
            Ok(bytes) => {
                let damaged = |error: serde_json::Error| MembershipError::Damaged {
                    path: path.to_owned(),
                    error: error.to_string(),
                };
                serde_json::from_slice::<Document>(&bytes).map_err(damaged)?.indexes
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(MembershipError::Io { path: path.to_owned(), error }),
        };
        Ok(Self { path: path.to_owned(), indexes })
    }

    /// The default first, then in the order of joining.
    pub fn all(&self) -> Vec<&Membership> {
        let (first, others): (Vec<_>, Vec<_>) = self.indexes.iter().partition(|index| index.is_default);
        first.into_iter().chain(others).collect()
    }

    pub fn default(&self) -> Option<&Membership> {
        self.all().into_iter().next()
    }

    /// By the operator's name, host, URL, or the first letters of the key, whatever people have at hand.
    pub fn find(&self, text: &str) -> Result<&Membership, MembershipError> {
        /// Fewer letters of a key would match by accident.
        const FEWEST_KEY_LETTERS: usize = 6;
        let urls = IndexUrl::guesses(text).unwrap_or_default();
        let fits = |index: &&Membership| {
            index.index_name.eq_ignore_ascii_case(text)
                || urls.contains(&index.url)
                || index.url.host() == text
                || index.url.authority() == text
                || (text.len() >= FEWEST_KEY_LETTERS && index.key.to_string().starts_with(text))
        };
        let mut found = self.indexes.iter().filter(fits);
        match (found.next(), found.next()) {
            (Some(index), None) => Ok(index),
            (Some(_), Some(_)) => Err(MembershipError::Ambiguous(text.to_owned())),
            (None, _) => Err(MembershipError::Unknown(text.to_owned())),
        }
    }

    /// Adds or updates, and saves. The first index of all becomes the default.
    pub fn add(&mut self, mut membership: Membership) -> Result<Added, MembershipError> {
        if let Some(known) =
            self.indexes.iter().find(|known| known.url == membership.url && known.key != membership.key)
        {
            return Err(MembershipError::OtherKey {
                url: known.url.clone(),
                pinned: known.key,
                offered: membership.key,
            });
        }
        let mut indexes = self.indexes.clone();
        let added = match indexes.iter_mut().find(|known| known.key == membership.key) {
            Some(known) => {
                membership.is_default = known.is_default;
                *known = membership;
                Added::Updated
            }
            None => {
                membership.is_default = indexes.is_empty();
                indexes.push(membership);
                Added::New
            }
        };
        self.save(indexes)?;
        Ok(added)
    }

    /// Forgets an index, and saves. If it was the default, the oldest other one takes its place.
    pub fn remove(&mut self, key: &IndexKey) -> Result<Membership, MembershipError> {
        let mut indexes = self.indexes.clone();
        let at =
            indexes.iter().position(|index| index.key == *key).ok_or_else(|| MembershipError::Unknown(key.short()))?;
        let gone = indexes.remove(at);
        if gone.is_default
            && let Some(oldest) = indexes.first_mut()
        {
            oldest.is_default = true;
        }
        self.save(indexes)?;
        Ok(gone)
    }

    pub fn set_default(&mut self, key: &IndexKey) -> Result<(), MembershipError> {
        let mut indexes = self.indexes.clone();
        if !indexes.iter().any(|index| index.key == *key) {
            return Err(MembershipError::Unknown(key.short()));
        }
        indexes.iter_mut().for_each(|index| index.is_default = index.key == *key);
        self.save(indexes)
    }

    /// Keeps the list in memory as it was if the disk refuses the new one.
    fn save(&mut self, indexes: Vec<Membership>) -> Result<(), MembershipError> {
        let failed = |error: io::Error| MembershipError::Io { path: self.path.clone(), error };
        let document = Document { indexes };
        let mut json = serde_json::to_vec_pretty(&document).map_err(|error| failed(error.into()))?;
        json.push(b'\n');
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut file = tempfile::Builder::new().prefix(".indexes-").tempfile_in(folder).map_err(failed)?;
        file.write_all(&json).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(&self.path).map_err(|refused| failed(refused.error))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        self.indexes = document.indexes;
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    #[error(
        "{url} was joined with the key {} and the link says {}: it may be somebody posing as the index; if its operator \
         confirms the new key, `choir leave {url}` first",
        .pinned.short(), .offered.short()
    )]
    OtherKey { url: IndexUrl, pinned: IndexKey, offered: IndexKey },
    #[error("no index that you joined is called {0}; `choir index ls` lists them")]
    Unknown(String),
    #[error("more than one index is called {0}; say its URL")]
    Ambiguous(String),
    #[error("the list of indexes at {} is damaged ({error}); move it away and join again", path.display())]
    Damaged { path: PathBuf, error: String },
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;

    use super::*;

    fn membership(host: &str, seed: u8) -> Membership {
        let url = format!("https://{host}:8888").parse().unwrap();
        Membership::new(url, SecretKey::from_seed(&[seed; 32]).index_key(), &format!("Index {seed}"))
    }

    #[test]
    fn what_is_joined_survives_and_the_first_is_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data").join("indexes.json");
        let mut memberships = Memberships::load(&path).unwrap();
        assert_eq!(memberships.default(), None);
        assert_eq!(memberships.add(membership("a.example", 1)).unwrap(), Added::New);
        assert_eq!(memberships.add(membership("b.example", 2)).unwrap(), Added::New);
        assert_eq!(memberships.default().unwrap().url.host(), "a.example");

        let second = membership("b.example", 2).key;
        memberships.set_default(&second).unwrap();
        let mut again = Memberships::load(&path).unwrap();
        assert_eq!(again.all().iter().map(|index| index.url.host()).collect::<Vec<_>>(), ["b.example", "a.example"]);
        again.remove(&second).unwrap();
        assert_eq!(Memberships::load(&path).unwrap().default().unwrap().url.host(), "a.example");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn another_key_at_a_known_url_is_refused_and_a_known_key_may_move() {
        let folder = tempfile::tempdir().unwrap();
        let mut memberships = Memberships::load(&folder.path().join("indexes.json")).unwrap();
        memberships.add(membership("a.example", 1)).unwrap();
        assert!(matches!(memberships.add(membership("a.example", 2)), Err(MembershipError::OtherKey { .. })));
        assert_eq!(memberships.add(membership("new.example", 1)).unwrap(), Added::Updated);
        assert_eq!(memberships.all().len(), 1);
        assert_eq!(memberships.default().unwrap().url.host(), "new.example");
    }

    #[test]
    fn the_replicas_of_an_index_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("indexes.json");
        let known =
            Membership { replicas: vec!["https://b.example:8888".parse().unwrap()], ..membership("a.example", 1) };
        Memberships::load(&path).unwrap().add(known.clone()).unwrap();
        assert_eq!(Memberships::load(&path).unwrap().default().unwrap().replicas, known.replicas);
    }

    #[test]
    fn an_index_is_found_by_whatever_people_have_at_hand() {
        let folder = tempfile::tempdir().unwrap();
        let mut memberships = Memberships::load(&folder.path().join("indexes.json")).unwrap();
        memberships.add(membership("a.example", 1)).unwrap();
        memberships.add(membership("b.example", 2)).unwrap();
        let key = membership("b.example", 2).key.to_string();
        for text in ["index 2", "b.example", "b.example:8888", "https://b.example:8888/", &key, &key[..8]] {
            assert_eq!(memberships.find(text).unwrap().url.host(), "b.example", "{text}");
        }
        assert!(matches!(memberships.find("c.example"), Err(MembershipError::Unknown(_))));
    }

    #[test]
    fn a_damaged_list_is_reported_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("indexes.json");
        std::fs::write(&path, "{\"indexes\": [").unwrap();
        assert!(matches!(Memberships::load(&path), Err(MembershipError::Damaged { .. })));
        assert!(path.exists());
    }
}
