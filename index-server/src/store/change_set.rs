//! What can be said of a change set without looking into a database.
//!
//! A stranger wrote it. Here it either breaks a rule, and is refused whole with the rule named, or becomes a
//! [`Checked`] set, whose claims have the hashes they are known by and whose entries do not contradict each other.
//! Checking does not take of the writer's time, which is everybody's.

use std::collections::{HashMap, HashSet};

use choir_shared::audio::AudioId;
use choir_shared::index_api::library::{MAX_ENTRIES, MAX_FOLDER_BYTES};
use choir_shared::index_api::{ChangeSet, Phase};
use choir_shared::library::{Head, MAX_COLLECTION_BYTES};
use choir_shared::text::is_invisible;
use choir_shared::{Digest, FileId, PeerId};

/// A set that keeps all rules that can be checked by themselves.
pub struct Checked {
    pub set: ChangeSet,
    /// The claims that the set brings along.
    pub claims: HashMap<Digest, BroughtClaim>,
    /// Equal for a set that is repeated, whether or not it brings its claims along again.
    pub fingerprint: Digest,
}

/// What of a claim is stored, and what is checked again for each file that it is named for.
pub struct BroughtClaim {
    pub canonical_json: String,
    pub audio: Option<AudioId>,
}

/// Checks the rules. The error is for the peer's log.
pub fn check(set: ChangeSet, owner: &PeerId) -> Result<Checked, String> {
    if set.add.len() + set.remove.len() + set.folders.len() > MAX_ENTRIES {
        return Err(format!("a change set has at most {MAX_ENTRIES} entries"));
    }
    if !is_good_collection(&set.collection) {
        return Err(format!("a collection's name is one visible line of 1 to {MAX_COLLECTION_BYTES} bytes"));
    }
    // SQLite's integers are signed.
    if i64::try_from(set.generation).is_err() {
        return Err("the generation is out of range".to_owned());
    }
    if set.phase == Phase::Change && set.generation <= set.base_generation {
        return Err("the generation must be greater than the base".to_owned());
    }
    check_folders(&set)?;
    check_files(&set)?;
    if let Some(head) = &set.head {
        check_head(head, &set, owner)?;
    }
    let fingerprint = fingerprint(&set);
    let claims = brought_claims(&set)?;
    Ok(Checked { set, claims, fingerprint })
}

fn check_folders(set: &ChangeSet) -> Result<(), String> {
    let mut numbers = HashSet::new();
    for folder in &set.folders {
        if !numbers.insert(folder.number) {
            return Err(format!("folder {} is listed twice", folder.number));
        }
        if folder.path.as_deref().is_some_and(|path| !is_good_path(path)) {
            return Err(format!("the path of folder {} breaks the rules", folder.number));
        }
    }
    Ok(())
}

fn check_files(set: &ChangeSet) -> Result<(), String> {
    let mut files: HashSet<&FileId> = HashSet::new();
    for file in set.add.iter().map(|entry| &entry.file).chain(&set.remove) {
        if !files.insert(file) {
            return Err(format!("file {} is listed twice", file.short()));
        }
    }
    Ok(())
}

/// Whether its numbers are right is known only when the set has been applied.
fn check_head(head: &Head, set: &ChangeSet, owner: &PeerId) -> Result<(), String> {
    if head.collection != set.collection || head.generation != set.generation {
        return Err("the head is of another collection or generation".to_owned());
    }
    if !head.verify(owner) {
        return Err("the head is not signed by this peer".to_owned());
    }
    Ok(())
}

fn brought_claims(set: &ChangeSet) -> Result<HashMap<Digest, BroughtClaim>, String> {
    let mut claims = HashMap::new();
    for entry in &set.add {
        let Some(claim) = &entry.claim else { continue };
        if claim.hash() != entry.claim_hash {
            return Err(format!("the claim of file {} has another hash", entry.file.short()));
        }
        let brought = || BroughtClaim { canonical_json: claim.to_canonical_json(), audio: claim.audio };
        claims.entry(entry.claim_hash).or_insert_with(brought);
    }
    Ok(claims)
}

fn fingerprint(set: &ChangeSet) -> Digest {
    let added: Vec<_> = set.add.iter().map(|entry| (entry.file, entry.folder, entry.claim_hash)).collect();
    let all = (&set.collection, set.base_generation, set.generation, set.phase, &set.folders, added, &set.remove);
    Digest::of(super::columns::json(&all).as_bytes())
}

fn is_good_collection(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= MAX_COLLECTION_BYTES && !name.contains(is_invisible)
}

/// `Alias/Sub folder`: never absolute, no way up, one line.
fn is_good_path(path: &str) -> bool {
    path.len() <= MAX_FOLDER_BYTES
        && !path.contains(char::is_control)
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_inside_its_alias() {
        for good in ["Music", "Music/AC-DC/Back in Black", "a/..b", "愛/…"] {
            assert!(is_good_path(good), "{good}");
        }
        for bad in ["", "/", "/etc", "Music/", "a//b", "..", "a/../b", "./a", "a\nb", &"x".repeat(1025)] {
            assert!(!is_good_path(bad), "{bad}");
        }
    }
}
