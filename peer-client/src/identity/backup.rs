//! An identity that can be carried to another machine: sealed with a passphrase, as a few lines of text.
//!
//! The key that seals it is PBKDF2-HMAC-SHA256 of the passphrase with a fresh random salt; the seal is
//! ChaCha20-Poly1305 over the 32 bytes of the secret, bound to the peer id that stands in the open. Each salt makes a
//! key that seals one message only, so the nonce may be zero.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use choir_shared::PeerId;
use choir_shared::identity::SecretKey;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::pbkdf2;

use super::Identity;

/// The first line, which names format and algorithms together: another algorithm will be another number.
const HEADER: &str = "choir identity backup 1";

/// OWASP's password storage cheat sheet (2023) for PBKDF2-HMAC-SHA256.
const ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();

/// A passphrase is all that protects a backup that somebody finds, and it can be tried without limit.
pub const MIN_PASSPHRASE_CHARS: usize = 8;

const SALT_BYTES: usize = 16;
const SEED_BYTES: usize = 32;

impl Identity {
    /// The text of a backup. Takes about half a second, on purpose.
    pub fn export(&self, passphrase: &str) -> Result<String, BackupError> {
        if passphrase.chars().count() < MIN_PASSPHRASE_CHARS {
            return Err(BackupError::ShortPassphrase);
        }
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_| BackupError::NoRandomness)?;
        let peer = self.peer_id();
        let mut sealed = self.secret.seed().to_vec();
        let tag = sealing_key(passphrase, &salt)
            .seal_in_place_separate_tag(nonce(), bound_to(&peer), &mut sealed)
            .map_err(|_| BackupError::Damaged)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(format!("{HEADER}\npeer {peer}\nsalt {}\nsealed {}\n", BASE64.encode(salt), BASE64.encode(sealed)))
    }

    /// The identity in the text of a backup.
    pub fn import(text: &str, passphrase: &str) -> Result<Self, BackupError> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        if lines.next() != Some(HEADER) {
            return Err(BackupError::NotABackup);
        }
        let mut field = |name: &str| lines.next().and_then(|line| line.strip_prefix(name)).map(str::trim);
        let peer: PeerId = field("peer ").and_then(|peer| peer.parse().ok()).ok_or(BackupError::Damaged)?;
        let mut bytes = |name| field(name).and_then(|text| BASE64.decode(text).ok()).ok_or(BackupError::Damaged);
        let (salt, mut sealed) = (bytes("salt ")?, bytes("sealed ")?);
        if salt.len() != SALT_BYTES || sealed.len() != SEED_BYTES + CHACHA20_POLY1305.tag_len() {
            return Err(BackupError::Damaged);
        }
        let seed = sealing_key(passphrase, &salt)
            .open_in_place(nonce(), bound_to(&peer), &mut sealed)
            .map_err(|_| BackupError::WrongPassphrase)?;
        let seed: &[u8; SEED_BYTES] = (&*seed).try_into().map_err(|_| BackupError::Damaged)?;
        let secret = SecretKey::from_seed(seed);
        if secret.peer_id() == peer { Ok(Self { secret }) } else { Err(BackupError::Damaged) }
    }
}

fn sealing_key(passphrase: &str, salt: &[u8]) -> LessSafeKey {
    let mut key = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt, passphrase.as_bytes(), &mut key);
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).expect("ChaCha20 takes 32 bytes"))
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn bound_to(peer: &PeerId) -> Aad<Vec<u8>> {
    Aad::from([HEADER.as_bytes(), peer.as_bytes()].concat())
}

/// Why a backup is not made or not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    #[error("a passphrase has at least {MIN_PASSPHRASE_CHARS} characters")]
    ShortPassphrase,
    #[error("this is not the backup of an identity; `choir id export` makes one")]
    NotABackup,
    #[error("the backup is damaged or cut short")]
    Damaged,
    #[error("the passphrase is wrong, or the backup was changed")]
    WrongPassphrase,
    #[error("the system gives no random numbers")]
    NoRandomness,
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &str = "correct horse battery";

    #[test]
    fn a_backup_brings_the_key_back_and_shows_it_to_nobody_else() {
        let identity = Identity::generate().unwrap();
        let backup = identity.export(PASSPHRASE).unwrap();
        assert_eq!(Identity::import(&backup, PASSPHRASE).unwrap().peer_id(), identity.peer_id());
        let through_a_mail_program = backup.replace('\n', " \r\n\r\n");
        assert_eq!(Identity::import(&through_a_mail_program, PASSPHRASE).unwrap().peer_id(), identity.peer_id());
        assert_eq!(Identity::import(&backup, "correct horse").unwrap_err(), BackupError::WrongPassphrase);
        assert_ne!(identity.export(PASSPHRASE).unwrap(), backup, "each has its own salt");
    }

    #[test]
    fn what_is_wrong_with_a_backup_is_said() {
        let identity = Identity::generate().unwrap();
        assert_eq!(identity.export("short"), Err(BackupError::ShortPassphrase));
        let backup = identity.export(PASSPHRASE).unwrap();
        let other = Identity::generate().unwrap().peer_id().to_string();
        let table = [
            ("choir identity 1\n".to_owned(), BackupError::NotABackup),
            (backup[..backup.len() - 9].to_owned(), BackupError::Damaged),
            (backup.lines().take(3).collect::<Vec<_>>().join("\n"), BackupError::Damaged),
            (backup.replace(&identity.peer_id().to_string(), &other), BackupError::WrongPassphrase),
        ];
        for (text, error) in table {
            assert_eq!(Identity::import(&text, PASSPHRASE).unwrap_err(), error, "{text}");
        }
    }
}
