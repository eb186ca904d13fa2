//! Where a download goes, by what is said of it: `{albumartist}/{year} - {album}/{track} {title}`.
//!
//! - **A slash parts folders**; what stands behind the last one names the file. Everything lies inside the folder that
//!   downloads go to: a template has no way out of it, and what strangers put into fields becomes a [`SafeName`].
//! - **A field is a word in braces** ([`Field`]); `{{` and `}}` are braces. Everything else is taken as it stands.
//! - **What is missing leaves no trace.** Text between two fields goes when either of them is missing, and text at the
//!   ends of a name goes with the field beside it; where a field between two others is missing, ` - ` parts those. A
//!   folder of which every field is missing is left out.
//! - **A file without a title keeps its name**, if the template would use the title, and so does one of which every
//!   field of the name is missing.
//! - **The extension is the file's own**, and is added: `.{ext}` at the end of a template says the same.

use std::fmt;
use std::str::FromStr;

use choir_shared::SafeName;

/// Folders inside each other; more is a mistake, and paths have limits.
pub const MAX_TEMPLATE_FOLDERS: usize = 8;

/// Most bytes of a template.
pub const MAX_TEMPLATE_BYTES: usize = 512;

/// Parts what a missing field stood between.
const IN_PLACE_OF_MISSING: &str = " - ";

/// A template that can be followed. Its text is kept as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    folders: Vec<Segment>,
    name: Segment,
}

/// Where a download goes, below the folder that downloads go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Outermost first.
    pub folders: Vec<SafeName>,
    pub name: SafeName,
}

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What may stand in braces.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field {
            $($(#[$doc])* $variant,)*
        }

        impl Field {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

fields! {
    Artist = "artist",
    AlbumArtist = "albumartist",
    Album = "album",
    Title = "title",
    Track = "track",
    Disc = "disc",
    Year = "year",
    Genre = "genre",
    /// The file's own extension.
    Ext = "ext",
}

/// Why a template cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    #[error("there is no {{{0}}}; there are {known}", known = known_fields())]
    UnknownField(String),
    #[error("a brace is not closed; {{{{ is a brace itself")]
    Open,
    #[error("a closing brace has no opening one; }}}} is a brace itself")]
    Unopened,
    #[error("it names folders inside the download folder, so it does not begin with a slash")]
    Absolute,
    #[error("something must stand between two slashes, and behind the last one: the name of the file")]
    EmptySegment,
    #[error("a folder cannot be . or ..")]
    Dots,
    #[error("the name of the file has no field, so that every file would have the same")]
    NoField,
    #[error("at most {MAX_TEMPLATE_FOLDERS} folders can lie inside each other")]
    TooDeep,
    #[error("a template has at most {MAX_TEMPLATE_BYTES} bytes")]
    TooLong,
    #[error("a template has no control characters")]
    Control,
}

fn known_fields() -> String {
    let names: Vec<_> = Field::ALL.iter().map(|field| format!("{{{}}}", field.as_str())).collect();
    names.join(" ")
}

impl Template {
    /// The place of the file that would be called `name` otherwise, with what `value` says of it.
    pub fn place(&self, name: &SafeName, value: impl Fn(Field) -> Option<String>) -> Place {
        let extension = name.extension();
        let value = |field| {
            let value = if field == Field::Ext { extension.map(str::to_owned) } else { value(field) };
            value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let folders = self.folders.iter().filter_map(|folder| folder.fill(&value));
        let folders = folders.map(|folder| SafeName::sanitise(&folder, "unnamed")).collect();
        let named = self.name.fill(&value).filter(|_| !self.name.uses(Field::Title) || value(Field::Title).is_some());
        let name = named.map_or_else(|| name.clone(), |stem| with_extension(&stem, extension, name));
        Place { folders, name }
    }
}

/// A stem that looks as if it had an extension gets none by that.
fn with_extension(stem: &str, extension: Option<&str>, otherwise: &SafeName) -> SafeName {
    match extension {
        Some(extension) => SafeName::sanitise(&format!("{stem}.{extension}"), otherwise.as_str()),
        None => SafeName::sanitise(&stem.replace('.', "_"), otherwise.as_str()),
    }
}

impl Segment {
    fn uses(&self, field: Field) -> bool {
        self.0.contains(&Piece::Field(field))
    }

    fn has_field(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Field(_)))
    }

    /// `None` if it has fields and all of them are missing.
    fn fill(&self, value: &dyn Fn(Field) -> Option<String>) -> Option<String> {
        let mut filled = String::new();
        let mut between = "";
        let (mut is_first, mut any, mut last_is_there) = (true, false, true);
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => between = text,
                Piece::Field(field) => {
                    let found = value(*field);
                    if let Some(value) = &found {
                        filled.push_str(match (is_first || last_is_there, any) {
                            (true, _) => between,
                            (false, true) => IN_PLACE_OF_MISSING,
                            (false, false) => "",
                        });
                        filled.push_str(value);
                        any = true;
                    }
                    (is_first, last_is_there, between) = (false, found.is_some(), "");
                }
            }
        }
        if last_is_there {
            filled.push_str(between);
        }
        (any || !self.has_field()).then_some(filled)
    }
}

impl FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(InvalidTemplate::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidTemplate::Control);
        }
        if text.starts_with('/') {
            return Err(InvalidTemplate::Absolute);
        }
        let mut folders = text.split('/').map(str::parse).collect::<Result<Vec<Segment>, _>>()?;
        let mut name = folders.pop().ok_or(InvalidTemplate::EmptySegment)?;
        if folders.len() > MAX_TEMPLATE_FOLDERS {
            return Err(InvalidTemplate::TooDeep);
        }
        name.drop_extension();
        if !name.has_field() {
            return Err(InvalidTemplate::NoField);
        }
        Ok(Self { text: text.to_owned(), folders, name })
    }
}

impl Segment {
    /// It is added anyway.
    fn drop_extension(&mut self) {
        if let [.., Piece::Text(text), Piece::Field(Field::Ext)] = self.0.as_mut_slice()
            && text.ends_with('.')
        {
            text.pop();
            self.0.pop();
        }
    }
}

impl FromStr for Segment {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        if text.trim().is_empty() {
            return Err(InvalidTemplate::EmptySegment);
        }
        if matches!(text.trim(), "." | "..") {
            return Err(InvalidTemplate::Dots);
        }
        let (mut pieces, mut plain) = (Vec::new(), String::new());
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' | '}' if rest.next_if_eq(&c).is_some() => plain.push(c),
                '}' => return Err(InvalidTemplate::Unopened),
                '{' => {
                    let mut name = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some('{') | None => return Err(InvalidTemplate::Open),
                            Some(c) => name.push(c),
                        }
                    }
                    let field = Field::ALL.iter().find(|field| field.as_str() == name);
                    let field = *field.ok_or(InvalidTemplate::UnknownField(name))?;
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Field(field));
                }
                _ => plain.push(c),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FULL: &str = "{albumartist}/{year} - {album}/{track} {title}";

    fn place(template: &str, name: &str, values: &[(Field, &str)]) -> String {
        let value = |field| values.iter().find(|(known, _)| *known == field).map(|(_, value)| (*value).to_owned());
        let Place { folders, name } =
            template.parse::<Template>().unwrap().place(&SafeName::sanitise(name, "x"), value);
        folders.iter().chain([&name]).map(SafeName::as_str).collect::<Vec<_>>().join("/")
    }

    #[test]
    fn a_template_is_filled_and_what_is_missing_leaves_no_trace() {
        use Field::{Album, AlbumArtist, Artist, Disc, Ext, Genre, Title, Track, Year};
        let all = [(AlbumArtist, "Björk"), (Year, "1995"), (Album, "Post"), (Track, "02"), (Title, "Hyperballad")];
        let song = [(Artist, "Björk"), (Title, "Jóga")];
        let table: [(&str, &str, &[(Field, &str)], &str); 20] = [
            (FULL, "a.flac", &all, "Björk/1995 - Post/02 Hyperballad.flac"),
            (FULL, "a.flac", &[all[0], all[2], all[4]], "Björk/Post/Hyperballad.flac"),
            (FULL, "a.flac", &[all[1], all[3], all[4]], "1995/02 Hyperballad.flac"),
            (FULL, "a.flac", &[all[4]], "Hyperballad.flac"),
            (FULL, "03 a.flac", &[all[0], all[2], all[3]], "Björk/Post/03 a.flac"),
            (FULL, "a.flac", &[], "a.flac"),
            ("{artist} ({year}) {title}", "a.ogg", &song, "Björk - Jóga.ogg"),
            ("{title} ({year})", "a.ogg", &song, "Jóga.ogg"),
            ("({year}) {title}", "a.ogg", &song, "Jóga.ogg"),
            ("{disc}-{track} {title}", "a.ogg", &[(Disc, "1"), song[1]], "1 - Jóga.ogg"),
            ("Disc {disc}/{title}", "a.ogg", &song, "Jóga.ogg"),
            ("Music/{artist}", "a.ogg", &song, "Music/Björk.ogg"),
            ("{ext}/{genre}/{title}.{ext}", "a.ogg", &[song[1], (Genre, "Pop")], "ogg/Pop/Jóga.ogg"),
            ("{{{artist}}}/{title}", "a.ogg", &song, "{Björk}/Jóga.ogg"),
            // What strangers write is a name and no path.
            ("{artist}/{title}", "a.mp3", &[(Artist, ".."), (Title, "../../etc/passwd")], "unnamed/_.._etc_passwd.mp3"),
            ("{artist}/{title}", "a.mp3", &[(Artist, "AC/DC"), (Title, "x.exe")], "AC_DC/x.exe.mp3"),
            ("{artist}/{title}", "a.mp3", &[(Artist, "CON"), (Title, "a\u{202e}b")], "_CON/ab.mp3"),
            ("{artist}/{title}", "a.mp3", &[(Artist, "\u{200b}"), (Title, "\u{200b}")], "unnamed/a.mp3"),
            ("{artist}/{title}", "no extension", &[(Artist, " "), (Title, "x.exe")], "x_exe"),
            ("{artist}/{title}", "a.mp3", &[(Ext, "exe"), (Title, "T")], "T.mp3"),
        ];
        for (template, name, values, expected) in table {
            assert_eq!(place(template, name, values), expected, "{template} of {values:?}");
        }
    }

    #[test]
    fn a_template_that_cannot_be_followed_says_why() {
        let table = [
            ("{titel}", InvalidTemplate::UnknownField("titel".into())),
            ("{title", InvalidTemplate::Open),
            ("{ti{tle}", InvalidTemplate::Open),
            ("title}", InvalidTemplate::Unopened),
            ("/{title}", InvalidTemplate::Absolute),
            ("{artist}//{title}", InvalidTemplate::EmptySegment),
            ("{artist}/", InvalidTemplate::EmptySegment),
            ("", InvalidTemplate::EmptySegment),
            ("../{title}", InvalidTemplate::Dots),
            ("{artist}/song", InvalidTemplate::NoField),
            ("{artist}/a.{ext}", InvalidTemplate::NoField),
            ("a/b/c/d/e/f/g/h/i/{title}", InvalidTemplate::TooDeep),
            ("{title}\n", InvalidTemplate::Control),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<Template>(), Err(expected), "{text}");
        }
        assert_eq!(format!("{{title}}{}", "x".repeat(600)).parse::<Template>(), Err(InvalidTemplate::TooLong));
        assert!(
            "{titel}"
                .parse::<Template>()
                .unwrap_err()
                .to_string()
                .ends_with("{title} {track} {disc} {year} {genre} {ext}")
        );
    }

    fn templates() -> impl Strategy<Value = String> {
        let field = proptest::sample::select(Field::ALL).prop_map(|field| format!("{{{}}}", field.as_str()));
        let other =
            proptest::sample::select(&["/", "/", " - ", " ", "{{", "}}", "..", "a"][..]).prop_map(str::to_owned);
        let piece = prop_oneof![field, other, "[ -.a-c()\\\\:]{0,3}"];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn every_place_is_safe_whatever_strangers_say(
            template in templates(),
            name in "\\PC{0,20}",
            values in proptest::collection::vec(proptest::option::of(prop_oneof![".{0,300}", "[./\\\\ ]{0,4}"]), 9),
        ) {
            let Ok(template) = template.parse::<Template>() else { return Ok(()) };
            prop_assert_eq!(template.to_string().parse(), Ok(template.clone()));
            let name = SafeName::sanitise(&name, "x");
            let place = template.place(&name, |field| {
                let at = Field::ALL.iter().position(|known| *known == field)?;
                values.get(at)?.clone()
            });
            prop_assert_eq!(place.name.extension(), name.extension());
            prop_assert!(place.folders.len() <= MAX_TEMPLATE_FOLDERS);
            for part in place.folders.iter().chain([&place.name]) {
                prop_assert!(SafeName::new(part.as_str()).is_ok(), "{}", part);
            }
        }

        #[test]
        fn any_text_is_a_template_or_says_why_not(text in prop_oneof![templates(), ".{0,60}"]) {
            match text.parse::<Template>() {
                Ok(template) => prop_assert_eq!(template.to_string(), text),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}
