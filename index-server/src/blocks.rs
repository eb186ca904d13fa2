//! What the operator lets nobody find, and which files that are.
//!
//! 1. A rule names a file, an audio, an album or a phrase. A phrase hits where its words stand one after the other in
//!    artist and title, in album artist and album, or in the file's name.
//! 2. Which numbers of files the rules hit is remembered, so that requests need not ask the rules: it is found out
//!    when the search index takes a file over, and for all files when a rule comes or goes and at the start
//!    ([`Index::enforce_blocks`](crate::index::Index::enforce_blocks)).
//! 3. What is blocked stays in its holders' libraries, or what they count would no longer be what the index counts. It
//!    is not found, not listed and not introduced for, and they are told.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use choir_shared::album::album_key;
use choir_shared::text::tokens;
use choir_shared::{Claim, Digest, FileId};

use crate::store::{Block, BlockTarget, FileNo, IndexedFile, Store, StoreError};

/// Why something is blocked, in the operator's words.
pub(crate) type Reason = Arc<str>;

/// Shared by all parts of the index.
pub(crate) struct Blocks(RwLock<Inside>);

struct Inside {
    rules: Rules,
    hit: HashMap<FileNo, Reason>,
}

/// What a look at a file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    AsBefore,
    NowBlocked,
    NowFree,
}

impl Blocks {
    pub(crate) async fn load(store: &Store) -> Result<Self, StoreError> {
        Ok(Self(RwLock::new(Inside { rules: Rules::load(store).await?, hit: HashMap::new() })))
    }

    /// After another program may have changed the rules. Whether they are others now, and all files are to be looked at.
    pub(crate) async fn reload(&self, store: &Store) -> Result<bool, StoreError> {
        let rules = Rules::load(store).await?;
        let mut inside = self.write();
        let are_others = inside.rules != rules;
        inside.rules = rules;
        Ok(are_others)
    }

    pub(crate) fn add(&self, block: Block) {
        self.write().rules.add(block);
    }

    pub(crate) fn lift(&self, target: &BlockTarget) {
        self.write().rules.lift(target);
    }

    pub(crate) fn has_rules(&self) -> bool {
        !self.read().rules.is_empty()
    }

    /// Marks what the rules hit, and remembers it.
    pub(crate) fn judge(&self, file: &mut IndexedFile) -> Verdict {
        let mut inside = self.write();
        let reason = inside.rules.hit(&file.id, &file.claim);
        file.blocked = reason.is_some();
        let before = match reason {
            Some(reason) => inside.hit.insert(file.no, reason),
            None => inside.hit.remove(&file.no),
        };
        match (before.is_some(), file.blocked) {
            (false, true) => Verdict::NowBlocked,
            (true, false) => Verdict::NowFree,
            _ => Verdict::AsBefore,
        }
    }

    pub(crate) fn is_blocked(&self, file: FileNo) -> bool {
        self.reason(file).is_some()
    }

    pub(crate) fn reason(&self, file: FileNo) -> Option<Reason> {
        self.read().hit.get(&file).cloned()
    }

    /// Those of the files that are blocked.
    pub(crate) fn among(&self, files: &[FileNo]) -> Vec<(FileNo, Reason)> {
        let inside = self.read();
        if inside.hit.is_empty() {
            return Vec::new();
        }
        files.iter().filter_map(|file| Some((*file, inside.hit.get(file)?.clone()))).collect()
    }

    /// How many files are blocked.
    pub(crate) fn len(&self) -> usize {
        self.read().hit.len()
    }

    fn read(&self) -> RwLockReadGuard<'_, Inside> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inside> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default, PartialEq, Eq)]
struct Rules {
    files: HashMap<FileId, Reason>,
    audio: HashMap<Digest, Reason>,
    albums: HashMap<String, Reason>,
    phrases: HashMap<Vec<String>, Reason>,
}

impl Rules {
    async fn load(store: &Store) -> Result<Self, StoreError> {
        let mut rules = Self::default();
        store.blocks().await?.into_iter().for_each(|block| rules.add(block));
        Ok(rules)
    }

    fn add(&mut self, block: Block) {
        let reason = Reason::from(block.reason);
        match block.target {
            BlockTarget::File(file) => drop(self.files.insert(file, reason)),
            BlockTarget::Audio(root) => drop(self.audio.insert(root, reason)),
            BlockTarget::Album(key) => drop(self.albums.insert(key, reason)),
            BlockTarget::Phrase(words) => drop(self.phrases.insert(words, reason)),
        }
    }

    fn lift(&mut self, target: &BlockTarget) {
        match target {
            BlockTarget::File(file) => drop(self.files.remove(file)),
            BlockTarget::Audio(root) => drop(self.audio.remove(root)),
            BlockTarget::Album(key) => drop(self.albums.remove(key)),
            BlockTarget::Phrase(words) => drop(self.phrases.remove(words)),
        }
    }

    fn is_empty(&self) -> bool {
        self.files.is_empty() && self.audio.is_empty() && self.albums.is_empty() && self.phrases.is_empty()
    }

    /// From the cheapest test to the dearest.
    fn hit(&self, file: &FileId, claim: &Claim) -> Option<Reason> {
        let by_file = || self.files.get(file);
        let by_audio = || claim.audio.as_ref().and_then(|audio| self.audio.get(&audio.root));
        let by_album = || match self.albums.is_empty() {
            true => None,
            false => album_key(claim).and_then(|key| self.albums.get(&key)),
        };
        by_file().or_else(by_audio).or_else(by_album).or_else(|| self.hit_by_phrase(claim)).cloned()
    }

    fn hit_by_phrase(&self, claim: &Claim) -> Option<&Reason> {
        if self.phrases.is_empty() {
            return None;
        }
        let said = |texts: [&Option<String>; 2]| -> Vec<String> {
            texts.into_iter().flatten().flat_map(|text| tokens(text)).collect()
        };
        let texts = [
            said([&claim.artist, &claim.title]),
            said([&claim.album_artist, &claim.album]),
            said([&None, &claim.file_name]),
        ];
        let lengths: HashSet<usize> = self.phrases.keys().map(Vec::len).collect();
        let runs = texts.iter().flat_map(|words| lengths.iter().flat_map(|length| words.windows(*length)));
        runs.into_iter().find_map(|run| self.phrases.get(run))
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::audio::AudioId;

    use super::*;
    use crate::store::testing::{file, song};

    fn rules(blocks: &[(&str, &str)]) -> Rules {
        let mut rules = Rules::default();
        for (kind, value) in blocks {
            let target = BlockTarget::parse(kind, value).unwrap();
            rules.add(Block { target, reason: format!("by {kind}") });
        }
        rules
    }

    fn hit(rules: &Rules, seed: u64, claim: &Claim) -> Option<String> {
        rules.hit(&file(seed), claim).map(|reason| reason.to_string())
    }

    #[test]
    fn each_kind_of_rule_hits_what_it_names_and_nothing_else() {
        let root = Digest::of(b"audio");
        let claim = Claim {
            album: Some("Sea".into()),
            audio: Some(AudioId { root, offset: 0, length: file(1).length() }),
            ..song("Moby Dick")
        };
        let key = album_key(&claim).unwrap();
        let plain = song("Ishmael");
        for (kind, value) in
            [("file", file(1).to_string()), ("audio", root.to_string()), ("album", key), ("phrase", "moby dick".into())]
        {
            let mut rules = rules(&[(kind, &value)]);
            assert_eq!(hit(&rules, 1, &claim), Some(format!("by {kind}")));
            assert_eq!(hit(&rules, 2, &plain), None, "{kind}");
            rules.lift(&BlockTarget::parse(kind, &value).unwrap());
            assert!(rules.is_empty() && hit(&rules, 1, &claim).is_none(), "{kind}");
        }
    }

    #[test]
    fn a_phrase_is_words_in_their_order_wherever_a_listener_sees_them() {
        let phrase = |words: &str, claim: &Claim| hit(&rules(&[("phrase", words)]), 1, claim).is_some();
        let claim = Claim {
            album_artist: Some("The Whalers".into()),
            album: Some("White Album".into()),
            file_name: Some("07 Call me.flac".into()),
            ..song("Môby-Dick")
        };
        for words in ["moby dick", "DICK", "somebody moby", "whalers white", "call me flac"] {
            assert!(phrase(words, &claim), "{words}");
        }
        for words in ["dick moby", "mob", "moby white", "moby dick the whale"] {
            assert!(!phrase(words, &claim), "{words}");
        }
    }
}
