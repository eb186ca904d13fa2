//! The folders of a peer.
//!
//! With `--home` or `CHOIR_HOME` everything lies in one folder, the music included, so that two peers on one machine
//! never meet. Otherwise the XDG base directory specification decides: what the user writes, what must be kept and
//! what may be lost are three places.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where one peer keeps its things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    config: PathBuf,
    data: PathBuf,
    state: PathBuf,
    music: PathBuf,
}

impl Home {
    /// Everything in one folder, made absolute against `current`.
    pub fn in_folder(folder: &Path, current: &Path) -> Self {
        let folder = current.join(folder);
        Self { config: folder.clone(), data: folder.clone(), state: folder.clone(), music: folder.join("music") }
    }

    /// What the flag, the environment and the desktop's own settings say.
    pub fn find(flag: Option<&Path>) -> Result<Self, NoHome> {
        let variable = |name: &str| std::env::var_os(name);
        let one_folder = flag.map(PathBuf::from).or_else(|| variable("CHOIR_HOME").map(PathBuf::from));
        if let Some(folder) = one_folder.filter(|folder| !folder.as_os_str().is_empty()) {
            let current = std::env::current_dir().map_err(|_| NoHome::NoCurrentFolder)?;
            return Ok(Self::in_folder(&folder, &current));
        }
        let read = |path: &Path| std::fs::read_to_string(path).ok();
        Self::by_xdg(variable, read)
    }

    /// By the XDG base directory specification 0.8; relative paths in its variables are to be ignored.
    fn by_xdg(
        variable: impl Fn(&str) -> Option<OsString>,
        read: impl Fn(&Path) -> Option<String>,
    ) -> Result<Self, NoHome> {
        let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let user = absolute("HOME").ok_or(NoHome::NoVariable)?;
        let folder = |name: &str, default: &str| absolute(name).unwrap_or_else(|| user.join(default));
        let config = folder("XDG_CONFIG_HOME", ".config");
        let music = read(&config.join("user-dirs.dirs"))
            .and_then(|text| music_of_desktop(&text, &user))
            .unwrap_or_else(|| user.join("Music"));
        Ok(Self {
            config: config.join("choir"),
            data: folder("XDG_DATA_HOME", ".local/share").join("choir"),
            state: folder("XDG_STATE_HOME", ".local/state").join("choir"),
            music,
        })
    }

    pub fn settings(&self) -> PathBuf {
        self.config.join("choir.toml")
    }

    /// The secret key: the one file here that cannot be made again.
    pub fn identity(&self) -> PathBuf {
        self.data.join("identity")
    }

    /// Downloads and catalogue.
    pub fn database(&self) -> PathBuf {
        self.data.join("choir.sqlite")
    }

    /// The indexes this peer has joined.
    pub fn memberships(&self) -> PathBuf {
        self.data.join("indexes.json")
    }

    /// Held by the one daemon that may write here.
    pub fn lock(&self) -> PathBuf {
        self.data.join("lock")
    }

    /// Tells other commands where the daemon listens, and the token that opens it.
    pub fn api_file(&self) -> PathBuf {
        self.state.join("api.json")
    }

    /// The default of the setting `music_folder`.
    pub fn music(&self) -> &Path {
        &self.music
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Unfinished files of a download folder lie in it, so that finishing one is a rename.
    pub fn partial(downloads: &Path) -> PathBuf {
        downloads.join(".partial")
    }
}

/// The music folder in a `user-dirs.dirs`, where desktops keep the localised names: `XDG_MUSIC_DIR="$HOME/Musik"`.
fn music_of_desktop(text: &str, user: &Path) -> Option<PathBuf> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix("XDG_MUSIC_DIR="))?;
    let value = value.trim().trim_matches('"');
    let path = match value.strip_prefix("$HOME") {
        Some(rest) => user.join(rest.trim_start_matches('/')),
        None => PathBuf::from(value),
    };
    // A desktop without a music folder names the home folder itself, which is never shared.
    (path.is_absolute() && path != user.join("") && path != *user).then_some(path)
}

/// Why it is unknown where this peer keeps its things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHome {
    #[error("HOME is not set; say --home DIR or set CHOIR_HOME")]
    NoVariable,
    #[error("the current folder is gone; say --home with an absolute path")]
    NoCurrentFolder,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_xdg(variables: &[(&str, &str)], user_dirs: Option<&str>) -> Result<Home, NoHome> {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Home::by_xdg(variable, |_| user_dirs.map(str::to_owned))
    }

    #[test]
    fn one_folder_holds_everything() {
        let home = Home::in_folder(Path::new("peer one"), Path::new("/tmp"));
        for path in
            [home.settings(), home.identity(), home.database(), home.memberships(), home.lock(), home.api_file()]
        {
            assert_eq!(path.parent(), Some(Path::new("/tmp/peer one")), "{}", path.display());
        }
        assert_eq!(home.music(), Path::new("/tmp/peer one/music"));
    }

    #[test]
    fn xdg_folders_are_three_and_relative_ones_are_ignored() {
        let home = by_xdg(&[("HOME", "/home/ann")], None).unwrap();
        assert_eq!(home.settings(), Path::new("/home/ann/.config/choir/choir.toml"));
        assert_eq!(home.identity(), Path::new("/home/ann/.local/share/choir/identity"));
        assert_eq!(home.api_file(), Path::new("/home/ann/.local/state/choir/api.json"));
        assert_eq!(home.music(), Path::new("/home/ann/Music"));

        let home =
            by_xdg(&[("HOME", "/home/ann"), ("XDG_CONFIG_HOME", "/etc/ann"), ("XDG_DATA_HOME", "data")], None).unwrap();
        assert_eq!(home.settings(), Path::new("/etc/ann/choir/choir.toml"));
        assert_eq!(home.identity(), Path::new("/home/ann/.local/share/choir/identity"));
        assert_eq!(by_xdg(&[], None), Err(NoHome::NoVariable));
    }

    #[test]
    fn the_desktop_names_the_music_folder() {
        let table = [
            ("# comment\nXDG_MUSIC_DIR=\"$HOME/Musik\"\n", "/home/ann/Musik"),
            ("XDG_MUSIC_DIR=\"/srv/music\"", "/srv/music"),
            ("XDG_MUSIC_DIR=\"$HOME/\"", "/home/ann/Music"),
            ("XDG_MUSIC_DIR=\"$HOME\"", "/home/ann/Music"),
            ("XDG_MUSIC_DIR=\"relative\"", "/home/ann/Music"),
            ("XDG_VIDEOS_DIR=\"/v\"", "/home/ann/Music"),
        ];
        for (text, music) in table {
            assert_eq!(by_xdg(&[("HOME", "/home/ann")], Some(text)).unwrap().music(), Path::new(music), "{text}");
        }
    }
}
