//! Which folders may be shared, and what they are called.
//!
//! - **Nobody shares a disk by accident.** `/`, the home folder, and the system's folders are refused, each with its
//!   reason; so is whatever contains the home folder. Only a folder that somebody chose for music passes.
//! - **System folders in which programs and packages keep music** pass below a certain depth: `/usr/share/games/…`,
//!   `/var/lib/mpd/music`. So does what is mounted for a user below `/run` and `/media`.
//! - **No file is shared twice by two folders**: one that lies in a shared folder, or around one, is refused.
//! - **The alias** is what others see in place of the path. It is unique whatever its case.
//! - **A folder that is not mounted is absent, not emptied.** A mount point without its disk is an empty directory of
//!   another device. Taking an emptied folder for an absent one would be harmless: either way nothing is shared, and
//!   only the hashes are kept for longer.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use choir_shared::SafeName;
use choir_shared::library::MAX_COLLECTION_BYTES;
use serde::{Deserialize, Serialize};

use super::hash::disk::{self, FileSystem};
use super::left_out::LeftOut;
use super::scan::Watching;

/// Refused with everything in them, but for [`MUSIC_IN_SYSTEM`].
const SYSTEM_TREES: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var",
    "/System",
    "/Library",
    "/private/etc",
    "/private/var",
];

/// What lies below these is somebody's music after all; they themselves are not.
const MUSIC_IN_SYSTEM: &[&str] = &[
    "/run/media",
    "/run/user",
    "/usr/home",
    "/usr/local/share",
    "/usr/share",
    "/var/home",
    "/var/lib",
    "/var/media",
    "/var/mnt",
    "/var/music",
    "/var/tmp",
    "/private/var/folders",
];

/// Refused themselves; what lies in them may be shared.
const COLLECTIVE: &[&str] = &["/home", "/media", "/opt", "/tmp", "/run/media", "/var/tmp", "/Users", "/Volumes"];

/// Whose children are home folders.
const HOMES: &[&str] = &["/home", "/usr/home", "/var/home", "/Users"];

/// A folder that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedFolder {
    pub alias: String,
    /// Canonical.
    pub path: PathBuf,
    pub collection: String,
}

/// A shared folder, for its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderStatus {
    pub alias: String,
    pub path: PathBuf,
    pub collection: String,
    pub state: FolderState,
    /// What is shared from here.
    pub files: u64,
    pub bytes: u64,
    pub left_out: Vec<LeftOut>,
    pub watching: Watching,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderState {
    Present,
    /// Not mounted, or not readable. Its hashes are kept, and it is shared again as soon as it is back.
    Missing,
}

/// Why a folder is not shared.
#[derive(Debug, thiserror::Error)]
pub enum AddFolderError {
    #[error("{0} does not exist")]
    NotFound(PathBuf),
    #[error("{0} is not a folder")]
    NotAFolder(PathBuf),
    #[error("{path} cannot be read: {error}")]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("/ is the whole computer; choose the folder that holds your music")]
    WholeComputer,
    #[error("{0} is or contains a home folder, with more in it than music; choose the folder that holds your music")]
    Home(PathBuf),
    #[error("{0} belongs to the system; choose the folder that holds your music")]
    System(PathBuf),
    #[error("{path} is shared already, as \"{alias}\"")]
    AlreadyShared { path: PathBuf, alias: String },
    #[error("{path} lies in {shared}, which is shared as \"{alias}\"")]
    Inside { path: PathBuf, shared: PathBuf, alias: String },
    #[error("{path} contains {shared}, which is shared as \"{alias}\"; stop sharing that one first")]
    Around { path: PathBuf, shared: PathBuf, alias: String },
    #[error("another shared folder is called \"{0}\"")]
    AliasTaken(String),
    #[error("a collection has a name of 1 to {MAX_COLLECTION_BYTES} bytes on one line")]
    BadCollection,
    #[error("the database cannot be used: {0}")]
    Database(#[from] sqlx::Error),
}

/// Why a folder is still shared.
#[derive(Debug, thiserror::Error)]
pub enum RemoveFolderError {
    #[error("no shared folder is called or lies at {0}")]
    NotShared(String),
    #[error("the program is stopping")]
    Stopping,
    #[error("the database cannot be used: {0}")]
    Database(#[from] sqlx::Error),
}

/// The canonical path of a folder that can be read.
pub(super) fn readable_folder(path: &Path) -> Result<PathBuf, AddFolderError> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => AddFolderError::NotFound(path.to_owned()),
        io::ErrorKind::NotADirectory => AddFolderError::NotAFolder(path.to_owned()),
        _ => AddFolderError::Unreadable { path: path.to_owned(), error },
    };
    let canonical = fs::canonicalize(path).map_err(refused)?;
    fs::read_dir(&canonical).map_err(refused)?;
    Ok(canonical)
}

/// Refuses folders that nobody means to share, and such as overlap others. `path` is canonical, `shared` has the
/// alias and path of each shared folder.
pub(super) fn check<'a>(
    path: &Path,
    home: Option<&Path>,
    shared: impl IntoIterator<Item = (&'a str, &'a Path)>,
) -> Result<(), AddFolderError> {
    let within = |trees: &[&str]| trees.iter().any(|tree| path.starts_with(tree));
    let strictly_within = |trees: &[&str]| trees.iter().any(|tree| path.starts_with(tree) && path != Path::new(tree));
    let is_one_of = |folders: &[&str]| folders.iter().any(|folder| path == Path::new(folder));
    let is_somebodys_home = path.parent().is_some_and(|parent| HOMES.iter().any(|homes| parent == Path::new(homes)));

    if path == Path::new("/") {
        return Err(AddFolderError::WholeComputer);
    }
    if home.is_some_and(|home| home.starts_with(path)) || is_somebodys_home || path == Path::new("/root") {
        return Err(AddFolderError::Home(path.to_owned()));
    }
    let in_home = home.is_some_and(|home| path.starts_with(home));
    if is_one_of(COLLECTIVE) || within(SYSTEM_TREES) && !strictly_within(MUSIC_IN_SYSTEM) && !in_home {
        return Err(AddFolderError::System(path.to_owned()));
    }
    for (alias, other) in shared {
        let (path, shared, alias) = (path.to_owned(), other.to_owned(), alias.to_owned());
        if path == shared {
            return Err(AddFolderError::AlreadyShared { path, alias });
        }
        if path.starts_with(&shared) {
            return Err(AddFolderError::Inside { path, shared, alias });
        }
        if shared.starts_with(&path) {
            return Err(AddFolderError::Around { path, shared, alias });
        }
    }
    Ok(())
}

/// What a folder is called that its owner gave no name: its own, numbered if that is taken.
pub(super) fn alias_of(path: &Path, taken: &[&str]) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = SafeName::sanitise(&name, "Music");
    let free = |candidate: &SafeName| !taken.iter().any(|taken| same_alias(taken, candidate.as_str()));
    let numbered = (2..).map(|number| name.numbered(number));
    std::iter::once(name.clone()).chain(numbered).find(free).map_or_else(String::new, String::from)
}

/// Aliases are folder names on other people's disks, where case may not count.
pub(super) fn same_alias(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

pub(super) fn check_collection(name: &str) -> Result<(), AddFolderError> {
    let good = !name.trim().is_empty() && name.len() <= MAX_COLLECTION_BYTES && !name.contains(char::is_control);
    if good { Ok(()) } else { Err(AddFolderError::BadCollection) }
}

/// The folder itself, as it was when its files were last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) dev: u64,
    pub(super) inode: u64,
}

impl Marker {
    fn of(metadata: &Metadata) -> Self {
        Self { dev: metadata.dev(), inode: metadata.ino() }
    }
}

/// Whether a shared folder is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Here { marker: Marker, file_system: FileSystem, readers: usize },
    Absent,
}

/// Looks whether a shared folder is there. `before` is what it was when its files were last seen, if it had any.
pub(super) fn look(root: &Path, before: Option<Marker>, processors: usize) -> Presence {
    let (Ok(metadata), Ok(mut entries)) = (fs::metadata(root), fs::read_dir(root)) else { return Presence::Absent };
    let marker = Marker::of(&metadata);
    let is_another_device = before.is_some_and(|before| before.dev != marker.dev);
    if is_another_device && entries.next().is_none() {
        return Presence::Absent;
    }
    Presence::Here { marker, file_system: FileSystem::of(root), readers: disk::readers(&metadata, processors) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(path: &str) -> Result<(), AddFolderError> {
        let shared = [("Jazz", Path::new("/srv/jazz")), ("Old", Path::new("/mnt/disk/music/old"))];
        check(Path::new(path), Some(Path::new("/home/anna")), shared)
    }

    #[test]
    fn the_computer_the_home_and_the_system_are_refused() {
        assert!(matches!(checked("/"), Err(AddFolderError::WholeComputer)));
        for home in ["/home/anna", "/home/bert", "/root", "/Users/anna"] {
            assert!(matches!(checked(home), Err(AddFolderError::Home(_))), "{home}");
        }
        for system in [
            "/etc",
            "/etc/ssl",
            "/usr",
            "/usr/share",
            "/usr/lib/x",
            "/proc/self",
            "/dev/shm",
            "/var",
            "/var/log",
            "/var/lib",
            "/tmp",
            "/media",
            "/run/media",
            "/boot/efi",
            "/lib64",
            "/sys/kernel",
        ] {
            assert!(matches!(checked(system), Err(AddFolderError::System(_))), "{system}");
        }
        assert!(matches!(
            check(Path::new("/data"), Some(Path::new("/data/homes/x")), []),
            Err(AddFolderError::Home(_))
        ));
    }

    #[test]
    fn folders_that_people_keep_music_in_pass() {
        for music in [
            "/home/anna/Music",
            "/root/music",
            "/mnt/other",
            "/media/anna/usb",
            "/run/media/anna/usb",
            "/srv/music",
            "/tmp/x",
            "/usr/share/games/singularity/music",
            "/var/lib/mpd/music",
            "/etcetera",
            "/homework",
        ] {
            assert!(checked(music).is_ok(), "{music}");
        }
        assert!(check(Path::new("/var/people/x/Music"), Some(Path::new("/var/people/x")), []).is_ok());
    }

    #[test]
    fn overlapping_folders_are_refused_and_named() {
        assert!(matches!(checked("/srv/jazz"), Err(AddFolderError::AlreadyShared { alias, .. }) if alias == "Jazz"));
        assert!(matches!(checked("/srv/jazz/live"), Err(AddFolderError::Inside { alias, .. }) if alias == "Jazz"));
        assert!(matches!(checked("/mnt/disk/music"), Err(AddFolderError::Around { alias, .. }) if alias == "Old"));
        assert!(checked("/srv/jazz2").is_ok());
    }

    #[test]
    fn an_alias_is_the_folders_name_made_unique() {
        assert_eq!(alias_of(Path::new("/a/Music"), &[]), "Music");
        assert_eq!(alias_of(Path::new("/a/Music"), &["MUSIC", "Music (2)"]), "Music (3)");
        assert_eq!(alias_of(Path::new("/a/.."), &[]), "Music");
    }

    #[test]
    fn an_empty_mount_point_is_absent_and_an_emptied_folder_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let Presence::Here { marker, .. } = look(folder.path(), None, 2) else { panic!() };
        assert!(matches!(look(folder.path(), Some(marker), 2), Presence::Here { .. }));
        let elsewhere = Marker { dev: marker.dev + 1, ..marker };
        assert_eq!(look(folder.path(), Some(elsewhere), 2), Presence::Absent);
        fs::write(folder.path().join("x"), "x").unwrap();
        assert!(matches!(look(folder.path(), Some(elsewhere), 2), Presence::Here { .. }));
        assert_eq!(look(Path::new("/nowhere"), None, 2), Presence::Absent);
    }

    #[test]
    fn only_a_folder_that_can_be_read_is_one() {
        let world = tempfile::tempdir().unwrap();
        fs::write(world.path().join("file"), "x").unwrap();
        assert!(matches!(readable_folder(&world.path().join("file")), Err(AddFolderError::NotAFolder(_))));
        assert!(matches!(readable_folder(&world.path().join("nothing")), Err(AddFolderError::NotFound(_))));
        assert!(readable_folder(&world.path().join(".")).is_ok());
    }
}
