//! The index's identity: one Ed25519 seed, in every backup.
//!
//! All other secrets are derived from it, so that a restored index is the same one: members recognise it, their
//! sessions live on, and votes by network stay one for each network.

use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use choir_shared::Digest;
use choir_shared::address::NetworkPrefix;
use choir_shared::identity::{IndexKey, SecretKey};

use crate::data_dir::write_secret;
use crate::mac::MacKey;

pub(crate) struct IndexKeys {
    pub(crate) secret: SecretKey,
    pub(crate) challenges: MacKey,
    pub(crate) tokens: MacKey,
    /// Of letters between the programs that share this key.
    pub(crate) replicas: MacKey,
    networks: MacKey,
}

impl IndexKeys {
    /// Reads the key, or makes one if there is none. A damaged key is never replaced: members would take the index
    /// for an impostor.
    pub(crate) fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Unusable { path: path.to_owned(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
                let seed = text.trim_end().parse::<Digest>().map_err(|_| KeyError::Damaged(path.to_owned()))?;
                Ok(Self::from_seed(seed.as_bytes()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let seed = Digest::new(random());
                write_secret(path, format!("{seed}\n").as_bytes()).map_err(failed)?;
                Ok(Self::from_seed(seed.as_bytes()))
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(KeyError::Damaged(path.to_owned())),
            Err(error) => Err(failed(error)),
        }
    }

    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        Self {
            secret: SecretKey::from_seed(seed),
            challenges: MacKey::derive(seed, "choir index challenges 1"),
            tokens: MacKey::derive(seed, "choir index tokens 1"),
            replicas: MacKey::derive(seed, "choir index replicas 1"),
            networks: MacKey::derive(seed, "choir index networks 1"),
        }
    }

    pub(crate) fn index_key(&self) -> IndexKey {
        self.secret.index_key()
    }

    /// A network as a number that tells nobody which network it is: for votes and logs.
    pub(crate) fn network_number(&self, network: NetworkPrefix) -> u64 {
        let code = self.networks.mac(&[&network.to_bytes()]);
        let [a, b, c, d, e, f, g, h, ..] = *code.as_bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// Bytes that nobody can guess. Without them no index can run, and the operating system never lacks them.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    bytes
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the index's key file {path} cannot be used")]
    Unusable { path: PathBuf, source: io::Error },
    #[error(
        "the index's key file {0} is damaged: it must hold 64 hexadecimal digits. Restore it from a backup; with another \
         key members would not recognise this index"
    )]
    Damaged(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.key");
        let made = IndexKeys::load_or_create(&path).unwrap().index_key();
        assert_eq!(IndexKeys::load_or_create(&path).unwrap().index_key(), made);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_an_error_and_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.key");
        for damaged in [&b""[..], b"abc\n", &[0xff; 64]] {
            std::fs::write(&path, damaged).unwrap();
            assert!(matches!(IndexKeys::load_or_create(&path), Err(KeyError::Damaged(_))));
            assert_eq!(std::fs::read(&path).unwrap(), damaged);
        }
    }

    #[test]
    fn networks_have_one_number_each() {
        let keys = IndexKeys::from_seed(&[1; 32]);
        let number = |ip: &str| keys.network_number(NetworkPrefix::of(ip.parse().unwrap()));
        assert_eq!(number("5.6.7.8"), number("5.6.7.9"));
        assert_ne!(number("5.6.7.8"), number("5.6.8.8"));
        assert_ne!(
            number("5.6.7.8"),
            IndexKeys::from_seed(&[2; 32]).network_number(NetworkPrefix::of("5.6.7.8".parse().unwrap()))
        );
    }
}
