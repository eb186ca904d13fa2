//! Change sets, as an index checks them before it looks into a database.

use std::sync::LazyLock;

use choir_index::store::change_set::{BroughtClaim, Checked, check};
use choir_shared::Claim;
use choir_shared::identity::SecretKey;
use choir_shared::index_api::ChangeSet;
use choir_shared::index_api::library::{MAX_ENTRIES, MAX_FOLDER_BYTES};
use choir_shared::library::{Head, MAX_COLLECTION_BYTES};

static OWNER: LazyLock<SecretKey> = LazyLock::new(|| SecretKey::from_seed(&[7; 32]));

/// The JSON of one set: as it came, and as an honest peer would have sent it.
pub fn change_set(json: &[u8]) {
    let Ok(set) = serde_json::from_slice::<ChangeSet>(json) else { return };
    keeps_the_rules(set.clone());
    keeps_the_rules(honest(set));
}

/// With hashes and a signature that are right, which nobody finds by chance.
fn honest(mut set: ChangeSet) -> ChangeSet {
    for entry in &mut set.add {
        if let Some(claim) = &entry.claim {
            entry.claim_hash = claim.hash();
        }
    }
    set.head = set
        .head
        .map(|head| Head::sign(&OWNER, &head.collection, head.generation, head.digest, head.count, head.time_unix_s));
    set
}

fn keeps_the_rules(set: ChangeSet) {
    let owner = OWNER.peer_id();
    let Ok(Checked { set, claims, fingerprint }) = check(set, &owner) else { return };
    assert!(set.add.len() + set.remove.len() + set.folders.len() <= MAX_ENTRIES);
    assert!((1..=MAX_COLLECTION_BYTES).contains(&set.collection.len()));
    for path in set.folders.iter().filter_map(|folder| folder.path.as_deref()) {
        assert!(path.len() <= MAX_FOLDER_BYTES && !path.starts_with('/'));
        assert!(path.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
    }
    for (hash, BroughtClaim { canonical_json, audio }) in &claims {
        let claim = Claim::parse(canonical_json.as_bytes()).expect("a claim as the index keeps it");
        assert_eq!((claim.hash(), &claim.to_canonical_json(), &claim.audio), (*hash, canonical_json, audio));
    }
    assert!(set.head.iter().all(|head| head.verify(&owner)));

    let again: ChangeSet = serde_json::from_slice(&serde_json::to_vec(&set).expect("a set can be written"))
        .expect("a set that was written");
    assert_eq!(again, set);
    let mut without_claims = set;
    for entry in &mut without_claims.add {
        assert!(entry.claim.is_none() || claims.contains_key(&entry.claim_hash));
        entry.claim = None;
    }
    let repeated = check(without_claims, &owner).unwrap_or_else(|error| panic!("refused without claims: {error}"));
    assert_eq!(repeated.fingerprint, fingerprint, "the claims are no part of what is repeated");
    assert!(repeated.claims.is_empty());
}
