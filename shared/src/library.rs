//! What a peer shares, in one number and one signature.
//!
//! The **digest** of a collection is the sum, modulo 2^256, of one hash for each holding. Sums do not care about
//! order and can be taken back, so both sides keep it up to date in a few nanoseconds a change, and one comparison
//! tells whether an index still knows a library of a hundred thousand songs exactly.
//!
//! It compares two honest sides and commits to nothing: whoever may choose many holdings finds two libraries with one
//! sum (the generalised birthday problem).
//!
//! The **head** is the digest signed by the peer's own key. It names no index.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::file_id::FileId;
use crate::identity::{Domain, PeerId, SecretKey, Signature};

/// The first bytes of what is hashed for each holding.
const HOLDING_DOMAIN: &[u8] = b"choir library 1";

/// Collection names are typed by people and kept in every change set.
pub const MAX_COLLECTION_BYTES: usize = 64;

/// The collection a folder joins when its owner names none.
pub const DEFAULT_COLLECTION: &str = "everyone";

/// The sum modulo 2^256 of the hashes of a collection's holdings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LibraryDigest(Digest);

impl LibraryDigest {
    pub const EMPTY: Self = Self(Digest::ZERO);

    pub fn insert(&mut self, file: &FileId, claim: &Digest) {
        self.0 = add(self.0, holding_hash(file, claim));
    }

    pub fn remove(&mut self, file: &FileId, claim: &Digest) {
        self.0 = add(self.0, negate(holding_hash(file, claim)));
    }

    pub const fn as_digest(&self) -> &Digest {
        &self.0
    }
}

impl Default for LibraryDigest {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl From<Digest> for LibraryDigest {
    fn from(digest: Digest) -> Self {
        Self(digest)
    }
}

fn holding_hash(file: &FileId, claim: &Digest) -> Digest {
    let length = file.length().bytes().to_be_bytes();
    Digest::of_parts(&[HOLDING_DOMAIN, file.root().as_bytes(), &length, claim.as_bytes()])
}

/// Big-endian addition that drops the carry out of the top.
fn add(left: Digest, right: Digest) -> Digest {
    let mut sum = *left.as_bytes();
    let mut carry = 0u16;
    for (byte, &other) in sum.iter_mut().zip(right.as_bytes()).rev() {
        let total = u16::from(*byte) + u16::from(other) + carry;
        *byte = total as u8;
        carry = total >> 8;
    }
    Digest::new(sum)
}

/// Two's complement.
fn negate(digest: Digest) -> Digest {
    let mut one = [0; 32];
    one[31] = 1;
    add(Digest::new(digest.as_bytes().map(|byte| !byte)), Digest::new(one))
}

/// A collection at one moment, signed by its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Head {
    pub collection: String,
    pub generation: u64,
    pub digest: LibraryDigest,
    /// How many holdings the digest sums.
    pub count: u64,
    /// Seconds since 1970-01-01T00:00:00Z, by the owner's clock.
    pub time_unix_s: u64,
    pub signature: Signature,
}

impl Head {
    pub fn sign(
        owner: &SecretKey,
        collection: &str,
        generation: u64,
        digest: LibraryDigest,
        count: u64,
        time_unix_s: u64,
    ) -> Self {
        let unsigned = Self {
            collection: collection.to_owned(),
            generation,
            digest,
            count,
            time_unix_s,
            signature: Signature::new([0; 64]),
        };
        let signature = owner.sign(Domain::LibraryHead, &[&unsigned.signed_bytes()]);
        Self { signature, ..unsigned }
    }

    pub fn verify(&self, owner: &PeerId) -> bool {
        owner.verifies(Domain::LibraryHead, &[&self.signed_bytes()], &self.signature)
    }

    /// Numbers first, at fixed lengths; the name, whose length varies, last.
    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(56 + self.collection.len());
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(self.digest.as_digest().as_bytes());
        bytes.extend_from_slice(&self.count.to_be_bytes());
        bytes.extend_from_slice(&self.time_unix_s.to_be_bytes());
        bytes.extend_from_slice(self.collection.as_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::leaf::FileLength;

    fn file(seed: u64) -> FileId {
        FileId::new(Digest::of(&seed.to_be_bytes()), FileLength::new(seed % 1000 + 1).unwrap())
    }

    proptest! {
        #[test]
        fn the_digest_forgets_order_and_removed_holdings(mut seeds: Vec<u64>, gone: Vec<u64>) {
            let claim = Digest::of(b"claim");
            let mut forward = LibraryDigest::EMPTY;
            seeds.iter().for_each(|&seed| forward.insert(&file(seed), &claim));

            let mut backward = LibraryDigest::EMPTY;
            gone.iter().for_each(|&seed| backward.insert(&file(seed), &claim));
            seeds.reverse();
            seeds.iter().for_each(|&seed| backward.insert(&file(seed), &claim));
            gone.iter().for_each(|&seed| backward.remove(&file(seed), &claim));
            prop_assert_eq!(forward, backward);
        }
    }

    #[test]
    fn another_claim_is_another_digest() {
        let (mut one, mut other) = (LibraryDigest::EMPTY, LibraryDigest::EMPTY);
        one.insert(&file(1), &Digest::of(b"a"));
        other.insert(&file(1), &Digest::of(b"b"));
        assert_ne!(one, other);
    }

    #[test]
    fn a_head_is_its_owners_alone() {
        let owner = SecretKey::from_seed(&[1; 32]);
        let head = Head::sign(&owner, DEFAULT_COLLECTION, 7, LibraryDigest::EMPTY, 0, 1_700_000_000);
        assert!(head.verify(&owner.peer_id()));
        assert!(!head.verify(&SecretKey::from_seed(&[2; 32]).peer_id()));
        assert!(!Head { generation: 8, ..head.clone() }.verify(&owner.peer_id()));
        assert!(!Head { collection: "friends".into(), ..head }.verify(&owner.peer_id()));
    }
}
