//! Every setting, with its default and the reason for it.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::home::Home;
use super::resolve::{Problems, Resolver, Setting, SettingRow, Source};
use super::schedule::Schedule;
use super::template::Template;
use super::value::{Congestion, Count, Folder, Optional, Rate, ShareDownloads, Switch, UploadRate};

/// Expands to [`Settings`], its keys, and the two functions that go through all of them: one page to read, no list
/// to keep in step. `config show` prints the comments.
macro_rules! settings {
    ($($(#[doc = $help:literal])+ $key:ident: $type:ty = $default:expr;)*) => {
        /// What the owner of this peer has chosen, or the defaults.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Settings {
            $($(#[doc = $help])+ pub $key: Setting<$type>,)*
        }

        impl Settings {
            /// All names, as in the settings file.
            pub const KEYS: &[&str] = &[$(stringify!($key),)*];

            /// What `source` says; all that is wrong with it at once.
            pub fn resolve(home: &Home, source: &Source<'_>) -> Result<Self, Problems> {
                let mut resolver = Resolver::new(source, Self::KEYS);
                $(let $key = resolver.take::<$type>(stringify!($key), &default_of(home, $default));)*
                match ($($key,)*) {
                    ($(Some($key),)*) if resolver.problems.is_empty() => Ok(Self { $($key,)* }),
                    _ => Err(Problems(resolver.problems)),
                }
            }

            /// Every setting as text, for people.
            pub fn rows(&self) -> Vec<SettingRow> {
                vec![$(SettingRow {
                    key: stringify!($key),
                    value: self.$key.value.to_string(),
                    origin: self.$key.origin,
                    help: [$($help.trim()),+].join(" "),
                },)*]
            }
        }
    };
}

settings! {
    /// Where other peers reach this one (UDP). The default port is a wish: if it is taken, a free one serves.
    listen: SocketAddr = "[::]:6699";
    /// Where the web page and the local API are. On loopback, because whoever reaches it can ask for the password.
    api: SocketAddr = "127.0.0.1:6688";
    /// Where music lies. Nothing is shared by being named here.
    music_folder: Folder = HOME_MUSIC;
    /// Where downloads land; if empty, in `Choir` inside `music_folder`, where players find them.
    download_folder: Optional<Folder> = "";
    /// Where downloads go inside that folder, by what is said of them, like
    /// {albumartist}/{year} - {album}/{track} {title}; there are {artist} {albumartist} {album} {title} {track} {disc}
    /// {year} {genre} {ext}. What is missing leaves no trace. If empty, files keep the names of their holders, and
    /// albums and folders get folders, because not everything has tags.
    download_template: Optional<Template> = "";
    /// Whether finished downloads are shared on: ask, yes or no. People decide what they publish, so: ask.
    share_downloads: ShareDownloads = "ask";
    /// Whether others may fetch what is already here of unfinished downloads: popular files spread faster.
    share_partial: Switch = "yes";
    /// How many peers are served at the same moment. More would each get too little of a home's line.
    upload_slots: Count<1, 256> = "8";
    /// How fast others may fetch, all together: bytes per second like 500K or 2M; unlimited; or auto, as fast as the
    /// line goes without delaying everything else on it.
    upload_limit: UploadRate = "unlimited";
    /// How fast to fetch, all downloads together: bytes per second like 500K or 5M, or unlimited.
    download_limit: Rate = "unlimited";
    /// Other limits at certain times, such as mon-fri 08:00-18:00 up 1M down 5M; 23:00-06:00 up max. The days may be
    /// left out, a window may go over midnight, and the first that holds wins. It goes before all other limits.
    limit_schedule: Schedule = "";
    /// How many peers may wait for an upload slot; beyond it a place would not come up within hours.
    upload_queue_max: Count<0, 10000> = "500";
    /// How many files are fetched at the same moment. A few keep the line full; many finish none.
    downloads_at_once: Count<1, 64> = "4";
    /// The largest UDP datagram to send, for measurements and for networks that lose larger ones; if empty, path MTU
    /// discovery finds it.
    datagram_bytes: Optional<Count<1200, 6500>> = "";
    /// How sending gives way when packets get lost: discerning, which takes its fair part of a line that is full and
    /// all of one that merely loses some; cubic, which gives way to every loss; or bbr, for lines that lose one packet
    /// in ten, and rude on all others.
    congestion: Congestion = "discerning";
    /// Connections of other peers, all together. Each may hold some hundred kilobytes of memory.
    connections_max: Count<8, 10000> = "256";
    /// The display name to ask for at an index that is joined without saying one.
    name: Optional<String> = "";
}

/// Stands for [`Home::music`] in the table above.
const HOME_MUSIC: &str = "$music";

fn default_of(home: &Home, text: &str) -> String {
    if text == HOME_MUSIC { home.music().to_string_lossy().into_owned() } else { text.to_owned() }
}

impl Settings {
    /// Where downloads land if a command does not say otherwise.
    pub fn downloads(&self) -> PathBuf {
        match &self.download_folder.value.0 {
            Some(folder) => folder.as_path().to_owned(),
            None => self.music_folder.value.as_path().join("Choir"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::resolve::{Flag, Origin};
    use super::*;

    fn home() -> Home {
        Home::in_folder(Path::new("/p"), Path::new("/"))
    }

    fn resolve(flags: &[Flag], environment: &[(&str, &str)], file: &str) -> Result<Settings, Problems> {
        let environment =
            |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
        let path = Path::new("/p/choir.toml");
        Settings::resolve(&home(), &Source { flags, environment: &environment, file: Some((path, file)) })
    }

    fn refusals(environment: &[(&str, &str)], file: &str) -> Vec<String> {
        resolve(&[], environment, file).unwrap_err().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn flags_win_over_the_environment_over_the_file_over_defaults() {
        let file = "# mine\nupload_slots = 1\n\nlisten = \"[::]:1001\"\nname = \"ann\"\nshare_downloads = false\n";
        let environment = [("CHOIR_LISTEN", "[::]:1002"), ("CHOIR_UPLOAD_SLOTS", "2")];
        let flags = [Flag { key: "listen", value: "[::]:1003".into() }];
        let settings = resolve(&flags, &environment, file).unwrap();
        assert_eq!((settings.listen.value.port(), settings.listen.origin), (1003, Origin::Flag));
        assert_eq!((settings.upload_slots.value.value(), settings.upload_slots.origin), (2, Origin::Environment));
        assert_eq!((settings.name.value.0.as_deref(), settings.name.origin), (Some("ann"), Origin::File { line: 5 }));
        let on_sharing = (settings.share_downloads.value, settings.share_downloads.origin);
        assert_eq!(on_sharing, (ShareDownloads::No, Origin::File { line: 6 }));
        assert_eq!((settings.api.value.port(), settings.api.origin), (6688, Origin::Default));
        assert!(settings.api.is_wish() && !settings.listen.is_wish());
    }

    #[test]
    fn defaults_hold_together_and_show_themselves() {
        let settings = resolve(&[], &[], "").unwrap();
        assert_eq!(settings.downloads(), Path::new("/p/music/Choir"));
        let rows = settings.rows();
        assert_eq!(rows.iter().map(|row| row.key).collect::<Vec<_>>(), Settings::KEYS);
        assert!(rows.iter().all(|row| row.help.ends_with('.') && row.origin == Origin::Default), "{rows:?}");
        // What is shown can be written back.
        let file: String = rows.iter().map(|row| format!("{} = {:?}\n", row.key, row.value)).collect();
        let again = resolve(&[], &[], &file).unwrap();
        assert_eq!(
            again.rows().into_iter().map(|row| row.value).collect::<Vec<_>>(),
            rows.into_iter().map(|row| row.value).collect::<Vec<_>>()
        );
    }

    #[test]
    fn every_mistake_is_named_with_its_line_and_a_hint() {
        let file = "upload_limitt = \"2M\"\napi = 5\n\n[network]\nupload_slots = 3\n";
        assert_eq!(
            refusals(&[("CHOIR_SHARE_DOWNLOADS", "perhaps")], file),
            [
                "/p/choir.toml, line 1: there is no setting upload_limitt; is upload_limit meant?",
                "/p/choir.toml, line 4: there is no setting network",
                "/p/choir.toml, line 2: api: invalid socket address syntax (it says \"5\")",
                "CHOIR_SHARE_DOWNLOADS: share_downloads: one of these is wanted: ask yes no (it says \"perhaps\")",
            ]
        );
        let [refusal] = &refusals(&[], "name = \"a\"\nname = \"b\"\n")[..] else { panic!("one mistake") };
        assert!(refusal.starts_with("/p/choir.toml, line 2: "), "{refusal}");
        let [refusal] = &refusals(&[], "\nname = \n")[..] else { panic!("one mistake") };
        assert!(refusal.starts_with("/p/choir.toml, line 2: "), "{refusal}");
    }

    #[test]
    fn numbers_may_be_written_as_toml_has_them() {
        let settings = resolve(&[], &[], "upload_limit = 1_000\n").unwrap();
        assert_eq!(settings.upload_limit.value.to_string(), "1000");
    }
}
