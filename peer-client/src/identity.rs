//! Who this peer is: one secret key in one file.
//!
//! - **The file is made once and never overwritten.** A file that cannot be read is an error that says what to do;
//!   a new key in its place would silently make the user a stranger to every index and friend.
//! - **It appears whole or not at all**: written under another name, synced, and moved to its place only if that is
//!   free. Of two programs that start together for the first time, both end up with the same key.
//! - **Only its owner may read it.** A key that others could have copied is refused until that is put right.
//! - **It proves itself.** The peer id beside the secret tells a damaged file from a different key.
//!
//! The text form is [`HEADER`], then `secret <52 letters>`, then `peer <peer id>`.

mod backup;

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use choir_shared::identity::SecretKey;
use choir_shared::{PeerId, base32};
use tempfile::NamedTempFile;

pub use backup::{BackupError, MIN_PASSPHRASE_CHARS};

/// The first line of the file.
const HEADER: &str = "choir identity 1";

/// Three short lines; anything longer is another file.
const MAX_FILE_BYTES: u64 = 4096;

/// The bits that let anyone but the owner in.
const OTHERS: u32 = 0o077;

/// The secret key of this peer.
#[derive(Clone, Debug)]
pub struct Identity {
    pub secret: SecretKey,
}

/// Where an identity came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    Existing,
    /// This is the first start.
    Created,
}

impl Identity {
    /// The identity in the file at `path`; a new one if there is no such file.
    pub fn load_or_create(path: &Path) -> Result<(Self, Loaded), IdentityError> {
        match Self::load(path) {
            Err(IdentityError::Missing { .. }) => {}
            loaded => return loaded.map(|identity| (identity, Loaded::Existing)),
        }
        let identity = Self::generate()?;
        match identity.save(path) {
            Ok(()) => Ok((identity, Loaded::Created)),
            // Another program was quicker; its key is the one.
            Err(IdentityError::Exists { .. }) => Ok((Self::load(path)?, Loaded::Existing)),
            Err(error) => Err(error),
        }
    }

    pub fn load(path: &Path) -> Result<Self, IdentityError> {
        let failed = |error: io::Error| IdentityError::Io { path: path.to_owned(), error };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(IdentityError::Missing { path: path.to_owned() });
            }
            Err(error) => return Err(failed(error)),
        };
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & OTHERS != 0 {
            return Err(IdentityError::ReadableByOthers { path: path.to_owned() });
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        let damaged = |what| IdentityError::Damaged { path: path.to_owned(), what };
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged("it is not text"))?;
        parse(text).map_err(damaged)
    }

    /// Writes a file that must not exist yet.
    pub fn save(&self, path: &Path) -> Result<(), IdentityError> {
        let failed = |error: io::Error| IdentityError::Io { path: path.to_owned(), error };
        let folder = folder_of(path);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let file = self.draft(folder).map_err(failed)?;
        file.persist_noclobber(path).map_err(|refused| match refused.error.kind() {
            io::ErrorKind::AlreadyExists => IdentityError::Exists { path: path.to_owned() },
            _ => failed(refused.error),
        })?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// Puts this identity in the place of another, which is kept beside it; the result is where.
    pub fn replace(&self, path: &Path) -> Result<Option<PathBuf>, IdentityError> {
        let old = match Self::load(path) {
            Ok(old) if old.peer_id() == self.peer_id() => return Ok(None),
            Ok(old) => old,
            Err(IdentityError::Missing { .. }) => return self.save(path).map(|()| None),
            Err(error) => return Err(error),
        };
        let failed = |error: io::Error| IdentityError::Io { path: path.to_owned(), error };
        let kept = path.with_extension(format!("before-{}", old.peer_id().short()));
        match old.save(&kept) {
            Ok(()) | Err(IdentityError::Exists { .. }) => {}
            Err(error) => return Err(error),
        }
        let folder = folder_of(path);
        self.draft(folder).and_then(|file| file.persist(path).map_err(|refused| refused.error)).map_err(failed)?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(Some(kept))
    }

    /// The whole text on disk under a passing name, made with `create_new` and mode 0600.
    fn draft(&self, folder: &Path) -> io::Result<NamedTempFile> {
        let mut file = tempfile::Builder::new().prefix(".identity-").tempfile_in(folder)?;
        file.write_all(self.to_text().as_bytes())?;
        file.as_file().sync_all()?;
        Ok(file)
    }

    pub fn peer_id(&self) -> PeerId {
        self.secret.peer_id()
    }

    pub fn generate() -> Result<Self, IdentityError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| IdentityError::NoRandomness)?;
        Ok(Self { secret: SecretKey::from_seed(&seed) })
    }

    fn to_text(&self) -> String {
        let secret = base32::encode(self.secret.seed());
        format!("{HEADER}\nsecret {secret}\npeer {}\n", self.peer_id())
    }
}

fn parse(text: &str) -> Result<Identity, &'static str> {
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return Err("its first line is not that of an identity");
    }
    let seed =
        lines.next().and_then(|line| base32::decode(line.strip_prefix("secret ")?)).ok_or("its secret is cut short")?;
    let identity = Identity { secret: SecretKey::from_seed(&seed) };
    let peer: Option<PeerId> = lines.next().and_then(|line| line.strip_prefix("peer ")?.parse().ok());
    if peer != Some(identity.peer_id()) {
        return Err("its secret does not fit its peer id");
    }
    Ok(identity)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Why there is no identity to run with.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("there is no identity at {}", path.display())]
    Missing { path: PathBuf },
    #[error("{} is already there and is never overwritten", path.display())]
    Exists { path: PathBuf },
    #[error("others may read the secret key; if none has, make it private again: chmod 600 {}", path.display())]
    ReadableByOthers { path: PathBuf },
    #[error("the identity at {} is damaged: {what}; restore it from a copy, or move it away to start as a new peer", path.display())]
    Damaged { path: PathBuf, what: &'static str },
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("the system gives no random numbers")]
    NoRandomness,
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("choir").join("identity");
        (folder, path)
    }

    #[test]
    fn the_first_start_makes_a_private_key_and_later_ones_find_it() {
        let (_folder, path) = place();
        let (made, loaded) = Identity::load_or_create(&path).unwrap();
        assert_eq!(loaded, Loaded::Created);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left behind");

        let (found, loaded) = Identity::load_or_create(&path).unwrap();
        assert_eq!((found.peer_id(), loaded), (made.peer_id(), Loaded::Existing));
    }

    #[test]
    fn programs_that_start_together_agree_on_one_key() {
        let (_folder, path) = place();
        let starts: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || Identity::load_or_create(&path).unwrap())
            })
            .collect();
        let starts: Vec<_> = starts.into_iter().map(|start| start.join().unwrap()).collect();
        assert_eq!(starts.iter().filter(|(_, loaded)| *loaded == Loaded::Created).count(), 1);
        assert!(starts.iter().all(|(identity, _)| identity.peer_id() == starts[0].0.peer_id()));
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_with_the_remedy() {
        let (_folder, path) = place();
        Identity::load_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let refusal = Identity::load_or_create(&path).unwrap_err().to_string();
            assert!(refusal.contains(&format!("chmod 600 {}", path.display())), "{refusal}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        Identity::load_or_create(&path).unwrap();
    }

    #[test]
    fn a_damaged_file_is_reported_and_left_alone() {
        let (_folder, path) = place();
        let (identity, _) = Identity::load_or_create(&path).unwrap();
        let good = identity.to_text();
        let other = Identity::generate().unwrap();
        let swapped = good.replace(&identity.peer_id().to_string(), &other.peer_id().to_string());
        for damaged in ["", "choir identity 2\n", &good[..40], &swapped, &"x".repeat(10_000)] {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(Identity::load_or_create(&path), Err(IdentityError::Damaged { .. })), "{damaged}");
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
    }

    #[test]
    fn an_imported_key_keeps_the_old_one_beside_it() {
        let (_folder, path) = place();
        let (old, _) = Identity::load_or_create(&path).unwrap();
        let new = Identity::generate().unwrap();
        let kept = new.replace(&path).unwrap().unwrap();
        assert_eq!(Identity::load(&path).unwrap().peer_id(), new.peer_id());
        assert_eq!(Identity::load(&kept).unwrap().peer_id(), old.peer_id());
        assert_eq!(new.replace(&path).unwrap(), None, "the same key changes nothing");
    }
}
