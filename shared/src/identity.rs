//! Who is who: the Ed25519 keys of peers and indexes, and what each signature covers.
//!
//! An identity is a key. Names and addresses are only what was last heard of it.
//!
//! Every signature begins with its own domain string, so that bytes signed for one purpose can never be
//! passed off as another (and none of them can be a TLS 1.3 signature, which begins with 64 spaces).

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::base32;

/// How many letters of a key people are shown; never enough to identify anyone.
const SHORT_LETTERS: usize = 8;

/// What a signature is for, and the first bytes of what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// A peer logs in: index key, challenge, peer key.
    Login,
    /// An index vouches for a member: index key, peer key, expiry.
    Ticket,
    /// A peer states what its library holds.
    LibraryHead,
}

impl Domain {
    pub const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Login => b"choir login 1",
            Self::Ticket => b"choir ticket 1",
            Self::LibraryHead => b"choir head 1",
        }
    }

    fn message(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut message = self.prefix().to_vec();
        parts.iter().for_each(|part| message.extend_from_slice(part));
        message
    }
}

/// A secret key. It never leaves its owner; dropping it wipes it from memory.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key that 32 random bytes make.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    pub fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    pub fn peer_id(&self) -> PeerId {
        PeerId(self.public_key())
    }

    pub fn index_key(&self) -> IndexKey {
        IndexKey(self.public_key())
    }

    fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs the concatenation of the domain's prefix and `parts`; every part but the last must have
    /// a fixed length or carry its own, or two lists of parts would share a signature.
    pub fn sign(&self, domain: Domain, parts: &[&[u8]]) -> Signature {
        Signature(self.0.sign(&domain.message(parts)).to_bytes())
    }

    /// The PKCS #8 document (RFC 8410, version 1) that TLS libraries read keys from.
    pub fn to_pkcs8_der(&self) -> Vec<u8> {
        const PREFIX: [u8; 16] =
            [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        [&PREFIX[..], self.seed()].concat()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.peer_id())
    }
}

/// The 32 bytes of an Ed25519 public key that some signature can really be checked against.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct PublicKey([u8; 32]);

/// What precedes an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410 section 4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl PublicKey {
    /// Refuses bytes that are no point of the curve, and the few points for which one signature fits any message.
    fn new(bytes: [u8; 32]) -> Result<Self, InvalidKey> {
        match VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(bytes)),
            _ => Err(InvalidKey),
        }
    }

    fn verifies(&self, domain: Domain, parts: &[&[u8]], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| key.verify_strict(&domain.message(parts), &signature).is_ok())
    }

    fn to_spki_der(self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.0].concat()
    }

    fn from_spki_der(der: &[u8]) -> Result<Self, InvalidKey> {
        let key = der.strip_prefix(&SPKI_PREFIX[..]).ok_or(InvalidKey)?;
        Self::new(key.try_into().map_err(|_| InvalidKey)?)
    }
}

/// One newtype for each role: a peer's key must not be taken for an index's.
macro_rules! key_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(PublicKey);

        impl $name {
            pub fn new(bytes: [u8; 32]) -> Result<Self, InvalidKey> {
                PublicKey::new(bytes).map(Self)
            }

            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0.0
            }

            /// The first letters of the text form, for people and logs only.
            pub fn short(&self) -> String {
                self.to_string()[..SHORT_LETTERS].to_owned()
            }

            /// Whether this key signed the concatenation of the domain's prefix and `parts`.
            pub fn verifies(&self, domain: Domain, parts: &[&[u8]], signature: &Signature) -> bool {
                self.0.verifies(domain, parts, signature)
            }

            /// The SubjectPublicKeyInfo that TLS with raw public keys (RFC 7250) carries.
            pub fn to_spki_der(self) -> Vec<u8> {
                self.0.to_spki_der()
            }

            pub fn from_spki_der(der: &[u8]) -> Result<Self, InvalidKey> {
                PublicKey::from_spki_der(der).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base32::encode(self.as_bytes()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidKey;

            fn from_str(text: &str) -> Result<Self, InvalidKey> {
                Self::new(base32::decode(text).ok_or(InvalidKey)?)
            }
        }

        /// Text where people may read it (JSON), bytes where they may not (postcard).
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.as_bytes().serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                    text.parse().map_err(de::Error::custom)
                } else {
                    Self::new(<[u8; 32]>::deserialize(deserializer)?).map_err(de::Error::custom)
                }
            }
        }
    };
}

key_type! {
    /// A peer: its Ed25519 public key. Text form: 52 lower-case base 32 letters.
    PeerId
}

key_type! {
    /// An index: its Ed25519 public key. Text form: 52 lower-case base 32 letters.
    IndexKey
}

/// Bytes or text that are no Ed25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 52 letters a-z and 2-7 that stand for an Ed25519 public key")]
pub struct InvalidKey;

/// An Ed25519 signature. Text form: 128 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signature([u8; 64]);

impl Signature {
    pub const fn new(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (left, right) = self.0.split_at(32);
        let halves = [left, right].map(|half| crate::Digest::try_from(half).unwrap_or(crate::Digest::ZERO));
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{}{}", halves[0], halves[1]))
        } else {
            halves.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let halves: [crate::Digest; 2] = if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
            let invalid = || de::Error::custom("a signature is 128 lower-case hexadecimal digits");
            let (left, right) = text.split_at_checked(64).ok_or_else(invalid)?;
            [left.parse().map_err(|_| invalid())?, right.parse().map_err(|_| invalid())?]
        } else {
            Deserialize::deserialize(deserializer)?
        };
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(halves[0].as_bytes());
        bytes[32..].copy_from_slice(halves[1].as_bytes());
        Ok(Self(bytes))
    }
}

/// What a peer signs to log in. The index key inside is the one the peer has pinned, so a signature given
/// to one index is worthless at another; no Host header is involved.
pub fn sign_login(secret: &SecretKey, index: &IndexKey, challenge: &[u8]) -> Signature {
    secret.sign(Domain::Login, &[index.as_bytes(), secret.peer_id().as_bytes(), challenge])
}

pub fn verify_login(peer: &PeerId, index: &IndexKey, challenge: &[u8], signature: &Signature) -> bool {
    peer.verifies(Domain::Login, &[index.as_bytes(), peer.as_bytes(), challenge], signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    #[test]
    fn agrees_with_rfc_8032_section_7_1_test_1() {
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60".parse::<crate::Digest>().unwrap();
        let public =
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a".parse::<crate::Digest>().unwrap();
        assert_eq!(SecretKey::from_seed(seed.as_bytes()).peer_id().as_bytes(), public.as_bytes());
    }

    #[test]
    fn keys_survive_their_text_and_their_spki() {
        let peer = secret(1).peer_id();
        assert_eq!(peer.to_string().parse(), Ok(peer));
        assert_eq!(PeerId::from_spki_der(&peer.to_spki_der()), Ok(peer));
        assert_eq!(serde_json::from_str::<PeerId>(&serde_json::to_string(&peer).unwrap()).unwrap(), peer);
    }

    #[test]
    fn a_key_that_fits_every_signature_is_no_key() {
        let mut identity_point = [0; 32];
        identity_point[0] = 1;
        assert_eq!(PeerId::new(identity_point), Err(InvalidKey));
    }

    #[test]
    fn a_login_is_good_for_one_index_one_peer_and_one_challenge() {
        let (peer, index, other) = (secret(1), secret(2).index_key(), secret(3));
        let signature = sign_login(&peer, &index, b"challenge");
        assert!(verify_login(&peer.peer_id(), &index, b"challenge", &signature));
        assert!(!verify_login(&peer.peer_id(), &index, b"another", &signature));
        assert!(!verify_login(&peer.peer_id(), &other.index_key(), b"challenge", &signature));
        assert!(!verify_login(&other.peer_id(), &index, b"challenge", &signature));
    }

    #[test]
    fn a_signature_survives_json_and_postcard() {
        let signature = secret(1).sign(Domain::Ticket, &[b"x"]);
        assert_eq!(serde_json::from_str::<Signature>(&serde_json::to_string(&signature).unwrap()).unwrap(), signature);
        let bytes = postcard::to_stdvec(&signature).unwrap();
        assert_eq!(bytes, signature.as_bytes());
        assert_eq!(postcard::from_bytes::<Signature>(&bytes).unwrap(), signature);
    }
}
