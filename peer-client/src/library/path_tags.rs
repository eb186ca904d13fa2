//! What the names of a file and its folders tell about a song without tags.
//!
//! More than half of the songs that people have lack a title tag, and most of these were named by a program or by
//! habit in one of a few ways. The rules, each because of names that are common:
//!
//! - **The innermost folder is the album, the one above it the artist**, after folders that say nothing of either
//!   have been taken out: discs, `Music`, `Albums`, genres, single letters. `Various Artists` is no artist.
//! - **A single folder is an album if something says so**: a year, numbered tracks, an artist in the file's name.
//!   Otherwise it is the artist. Either is a guess, and [`PathTags::solid`] tells.
//! - **The name of the shared folder itself counts only if it is plainly an album** (`Artist - Album`, or numbered
//!   tracks in it): people share `Music`, `usb-stick` and `D`. Nothing above it counts; it is nobody's business.
//! - **`Artist - Title`** is read so unless the folders know the artist: then dashes belong to the title.
//! - **A number in front is the track** where a separator or a leading zero says so. `12 Title` is one only inside an
//!   album, up to a number that albums have: `99 Luftballons` and `7 Seconds` stay whole.
//! - **Underscores are spaces**, and so are dots in a name without spaces. What sites and rippers append is dropped:
//!   `[320kbps]`, `(Official Video)`, `(1)`.

mod file_name;
mod folder;
mod words;

use choir_shared::text::fold;

use file_name::FileName;
use folder::FolderName;

/// What a path tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathTags {
    pub title: Option<String>,
    pub artist: Option<String>,
    pub album: Option<String>,
    pub album_artist: Option<String>,
    pub track: Option<u32>,
    pub disc: Option<u32>,
    pub year: Option<u32>,
    pub compilation: bool,
    /// Artist and album come from a structure that is rarely anything else, good enough to complete tags with.
    pub solid: bool,
}

pub(crate) const VARIOUS_ARTISTS: &str = "Various Artists";

/// Reads the path of a song: the name of the shared folder, and the components below it, the file's name last.
pub fn guess(share: &str, relative: &[&str]) -> PathTags {
    let Some((file, folders)) = relative.split_last() else { return PathTags::default() };
    let folders = Folders::read(share, folders);
    let file = FileName::read(stem(file), folders.depth());

    let mut tags = PathTags {
        track: file.track,
        disc: file.disc.or(folders.disc),
        year: file.year.or_else(|| folders.album.as_ref().and_then(|album| album.year)),
        ..PathTags::default()
    };
    folders.say(&file, &mut tags);
    file_says(&file, &mut tags);
    tags
}

/// The name without its extension.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 4 => stem,
        _ => name,
    }
}

/// The folders that say something.
#[derive(Debug, Default)]
struct Folders {
    /// The innermost.
    album: Option<FolderName>,
    artist: Option<String>,
    disc: Option<u32>,
    /// There is only the shared folder itself.
    is_share: bool,
}

impl Folders {
    fn read(share: &str, folders: &[&str]) -> Self {
        let mut read = Self::default();
        for name in folders.iter().rev() {
            if let (None, Some(disc)) = (&read.album, words::disc_folder(name)) {
                read.disc = read.disc.or(Some(disc));
            } else if words::is_generic_folder(name) {
                // Says nothing.
            } else if read.album.is_some() {
                read.artist = Some(words::artist_folder(name));
                break;
            } else {
                read.album = Some(FolderName::read(name));
            }
        }
        if read.album.is_none() && !words::is_generic_folder(share) {
            read.album = Some(FolderName::read(share));
            read.is_share = true;
        }
        read.disc = read.disc.or_else(|| read.album.as_ref().and_then(|album| album.disc));
        read
    }

    /// How sure it is that the file lies among the tracks of one album.
    fn depth(&self) -> Depth {
        match &self.album {
            Some(_) if self.artist.is_some() || self.disc.is_some() => Depth::Album,
            Some(album) if album.year.is_some() || album.artist.is_some() => Depth::Album,
            _ => Depth::Unknown,
        }
    }

    fn say(&self, file: &FileName, tags: &mut PathTags) {
        let Some(album) = &self.album else { return };
        match &self.artist {
            Some(artist) if words::is_various(artist) => {
                tags.album = Some(album.whole());
                tags.album_artist = Some(VARIOUS_ARTISTS.to_owned());
                tags.compilation = true;
                tags.solid = true;
            }
            Some(artist) => {
                // `Artist/Artist - Album`.
                let repeated = album.artist.as_deref().is_some_and(|named| same(named, artist));
                tags.album = Some(if repeated { album.album.clone() } else { album.whole() });
                tags.artist = Some(artist.clone());
                tags.solid = true;
            }
            None => self.say_alone(album, file, tags),
        }
    }

    /// There is one folder.
    fn say_alone(&self, album: &FolderName, file: &FileName, tags: &mut PathTags) {
        if let Some(artist) = &album.artist {
            tags.album = Some(album.album.clone());
            tags.solid = true;
            if words::is_various(artist) {
                tags.album_artist = Some(VARIOUS_ARTISTS.to_owned());
                tags.compilation = true;
            } else {
                tags.artist = Some(artist.clone());
            }
        } else if words::is_various(&album.album) {
            tags.compilation = true;
        } else if self.is_share {
            tags.album = file.track.is_some().then(|| album.album.clone());
        } else if matches!(file.texts.as_slice(), [first, _, ..] if same(first, &album.album)) {
            tags.artist = Some(album.album.clone());
        } else if album.year.is_some() || file.track.is_some() || self.disc.is_some() || file.texts.len() > 1 {
            tags.album = Some(album.album.clone());
        } else {
            tags.artist = Some(words::artist_folder(&album.album));
        }
    }
}

/// See [`Folders::depth`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Album,
    Unknown,
}

fn file_says(file: &FileName, tags: &mut PathTags) {
    let mut texts: &[String] = &file.texts;
    let known_artist = tags.artist.clone();
    if let Some(artist) = known_artist {
        // Whatever the folders have said already is not part of the title.
        if let [first, _, ..] = texts
            && same(first, &artist)
        {
            texts = texts.get(1..).unwrap_or_default();
        } else if let [first @ .., last] = texts
            && !first.is_empty()
            && same(last, &artist)
        {
            texts = first;
        }
        texts = without_album(texts, tags.album.as_deref());
        tags.title = joined(texts);
        return;
    }

    match texts {
        [] => {}
        [title] => match &file.artist_in_brackets {
            Some(artist) => {
                tags.artist = Some(artist.clone());
                tags.title = Some(title.clone());
            }
            None => tags.title = Some(title.clone()),
        },
        [first, rest @ ..] => {
            let rest = if same_as(first, tags.album.as_deref()) {
                // `Album - Title` or `Album - Artist - Title`.
                match rest {
                    [title] => {
                        tags.title = Some(title.clone());
                        return;
                    }
                    [artist, title @ ..] => {
                        tags.artist = Some(artist.clone());
                        title
                    }
                    [] => return,
                }
            } else {
                tags.artist = Some(first.clone());
                rest
            };
            let shorter = without_album(rest, tags.album.as_deref());
            // `Artist - Album - 03 - Title`: without a number the middle is as often part of the title.
            match shorter {
                [album, title @ ..] if !title.is_empty() && file.track.is_some() && tags.album.is_none() => {
                    tags.album = Some(album.clone());
                    tags.title = joined(title);
                }
                texts => tags.title = joined(texts),
            }
            // `Artist - Album/Artist.ogg` has lost its own title; otherwise two texts are a plain statement.
            tags.solid = true;
            if same_as(first, tags.album.as_deref()) && tags.artist.as_deref() == Some(first) {
                tags.album = None;
            }
        }
    }
}

fn without_album<'a>(texts: &'a [String], album: Option<&str>) -> &'a [String] {
    match texts {
        [first, rest @ ..] if !rest.is_empty() && same_as(first, album) => rest,
        texts => texts,
    }
}

fn joined(texts: &[String]) -> Option<String> {
    (!texts.is_empty()).then(|| texts.join(" - "))
}

fn same(one: &str, other: &str) -> bool {
    fold(one) == fold(other)
}

fn same_as(one: &str, other: Option<&str>) -> bool {
    other.is_some_and(|other| same(one, other))
}

#[cfg(test)]
mod tests;
