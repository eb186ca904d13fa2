//! Somebody who follows what a library publishes.

use std::collections::BTreeMap;

use choir_shared::library::LibraryDigest;
use choir_shared::{Digest, FileId};

use super::super::Library;

/// What somebody knows who was only ever told of changes.
#[derive(Default)]
pub(super) struct Mirror {
    pub(super) known: BTreeMap<FileId, (u32, Digest, String)>,
    folders: BTreeMap<u32, String>,
    pub(super) through: u64,
}

impl Mirror {
    /// Follows the changes to their end, and checks that both sides count alike.
    pub(super) async fn follow(&mut self, library: &Library, collection: &str, limit: usize) {
        loop {
            let page = library.changes_since(collection, self.through, limit).await.unwrap();
            assert!(page.add.len() + page.remove.len() + page.folders.len() <= limit);
            assert!(page.through > self.through || page.complete.is_some());
            for folder in page.folders {
                match folder.path {
                    Some(path) => self.folders.insert(folder.number, path),
                    None => self.folders.remove(&folder.number),
                };
            }
            for addition in page.add {
                let claim = addition.claim.unwrap();
                assert_eq!(claim.hash(), addition.claim_hash);
                assert!(self.folders.contains_key(&addition.folder), "a holding came before its folder");
                self.known.insert(addition.file, (addition.folder, addition.claim_hash, claim.file_name.unwrap()));
            }
            page.remove.iter().for_each(|file| drop(self.known.remove(file)));
            self.through = page.through;
            if let Some((digest, count)) = page.complete {
                let mut sum = LibraryDigest::EMPTY;
                self.known.iter().for_each(|(file, (_, claim, _))| sum.insert(file, claim));
                assert_eq!((sum, self.known.len() as u64), (digest, count));
                return;
            }
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.known.values().map(|(folder, _, name)| format!("{}/{name}", self.folders[folder])).collect();
        names.sort();
        names
    }
}
