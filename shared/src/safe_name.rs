//! A file name that a stranger may choose.
//!
//! Whatever the stranger sent, a [`SafeName`] is one component of a path, stays in its folder, and is harmless on
//! every system to which the folder may be copied:
//!
//! - **NFC**, because some file systems compare bytes, and two names must not look the same.
//! - **No separators**, and nothing that looks like one or is turned into one by a lossy conversion.
//! - **No control, bidirectional or zero-width characters**: `exe.gpj` must not read `jpg.exe`.
//! - **None of `< > : " | ? *`**, which Windows refuses (`:` would name a stream of another file).
//! - **No name of a Windows device**, with or without extensions: `nul.txt.jpg` is the null device.
//! - **No leading dot** (hidden, and `..` leaves the folder), **no trailing dot, no space at either end**: Windows
//!   drops them silently, and the file has another name than was checked.
//! - **At most [`MAX_NAME_BYTES`]**, the extension kept, because players go by it.
//!
//! A name that obeys them all is its own sanitised form; nothing else is accepted.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::text::{is_invisible, truncated};

/// Most file systems allow 255 bytes; this leaves room for a number and for the endings of unfinished downloads.
pub const MAX_NAME_BYTES: usize = 200;

/// What stands after the last dot counts as an extension up to this length, and then survives shortening.
pub const MAX_EXTENSION_BYTES: usize = 16;

/// A safe file name; see the module for what that means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SafeName(String);

impl SafeName {
    /// `name`, if it is safe as it stands.
    pub fn new(name: &str) -> Result<Self, UnsafeName> {
        if sanitised(name).as_deref() == Some(name) { Ok(Self(name.to_owned())) } else { Err(UnsafeName) }
    }

    /// The safe name closest to `name`. Where nothing of its stem is left, the stem of `fallback` takes its place.
    pub fn sanitise(name: &str, fallback: &str) -> Self {
        if let Some(safe) = sanitised(name) {
            return Self(safe);
        }
        let fallback = sanitised(fallback).unwrap_or_else(|| LAST_RESORT.to_owned());
        match Parts::of(&cleaned(name)).extension {
            "" => Self(fallback),
            extension => Self(Parts { stem: Parts::of(&fallback).stem, extension }.joined("")),
        }
    }

    /// `Title (2).ogg` for `Title.ogg`: the name to try when the first is taken.
    pub fn numbered(&self, number: u32) -> Self {
        Self(Parts::of(&self.0).joined(&format!(" ({number})")))
    }

    /// Equal for names that some file system takes for the same: those that differ only in case.
    pub fn collision_key(&self) -> String {
        if self.0.is_ascii() {
            // The same, at a tenth of the cost; whole folders are compared.
            return self.0.to_ascii_lowercase();
        }
        caseless::default_case_fold_str(&self.0.nfd().collect::<String>()).nfc().collect()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands after the last dot, if that is an extension.
    pub fn extension(&self) -> Option<&str> {
        Some(Parts::of(&self.0).extension).filter(|extension| !extension.is_empty())
    }
}

/// The name of a file whose own name and fallback both come to nothing.
const LAST_RESORT: &str = "unnamed";

/// The safe form of `name`, if anything of its stem is left.
fn sanitised(name: &str) -> Option<String> {
    let cleaned = cleaned(name);
    let parts = Parts::of(&cleaned);
    if parts.stem.is_empty() {
        return None;
    }
    let short = parts.joined("");
    if !is_device(&short) {
        return Some(short);
    }
    let stem = format!("_{}", Parts::of(&short).stem);
    Some(Parts { stem: &stem, extension: Parts::of(&short).extension }.joined(""))
}

/// `name` in NFC with every forbidden character dropped or replaced, and bare at its ends, but for the dots before
/// an extension without stem.
fn cleaned(name: &str) -> String {
    let characters: String = name.chars().filter_map(harmless).nfc().collect();
    let bare = characters.trim().trim_end_matches(is_dot_or_space);
    match bare.trim_start_matches(is_dot_or_space) {
        rest if rest.len() < bare.len() && is_extension(rest) => format!(".{rest}"),
        rest => rest.to_owned(),
    }
}

fn harmless(c: char) -> Option<char> {
    match c {
        '\t' | '\n' | '\r' => Some(' '),
        '/' | '\\' | '<' | '>' | ':' | '"' | '|' | '?' | '*' => Some('_'),
        // Division and fraction slashes, set minus, solidi, box drawing, and the small, wide and full width forms.
        '\u{2044}' | '\u{2215}' | '\u{2216}' | '\u{2571}' | '\u{2572}' | '\u{27cb}' | '\u{27cd}' | '\u{29f5}'
        | '\u{29f8}' | '\u{29f9}' | '\u{fe68}' | '\u{ff0f}' | '\u{ff3c}' => Some('_'),
        _ if is_invisible(c) => None,
        _ => Some(c),
    }
}

fn is_dot_or_space(c: char) -> bool {
    c == '.' || c.is_whitespace()
}

fn is_extension(text: &str) -> bool {
    (1..=MAX_EXTENSION_BYTES).contains(&text.len()) && text.chars().all(char::is_alphanumeric)
}

/// Whether Windows opens a device instead of a file. It looks only at what stands before the first dot, skips
/// spaces before that dot, and reads superscript digits as digits
/// (<https://learn.microsoft.com/windows/win32/fileio/naming-a-file>).
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let mut rest = port.unwrap_or_default().chars();
    matches!((rest.next(), rest.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

/// A cleaned name in two: its extension may be empty, and is without the dot.
struct Parts<'a> {
    stem: &'a str,
    extension: &'a str,
}

impl<'a> Parts<'a> {
    fn of(name: &'a str) -> Self {
        match name.rsplit_once('.') {
            Some((stem, extension)) if is_extension(extension) => Self { stem, extension },
            _ => Self { stem: name, extension: "" },
        }
    }

    /// Stem, `suffix`, dot and extension; the stem gives way where they are too long together.
    fn joined(&self, suffix: &str) -> String {
        let dot = if self.extension.is_empty() { "" } else { "." };
        let room = MAX_NAME_BYTES - suffix.len() - dot.len() - self.extension.len();
        let stem = match truncated(self.stem, room) {
            short if short.len() < self.stem.len() => short.trim_end_matches(is_dot_or_space),
            whole => whole,
        };
        [stem, suffix, dot, self.extension].concat()
    }
}

/// The name breaks a rule of [`SafeName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a safe file name")]
pub struct UnsafeName;

impl TryFrom<String> for SafeName {
    type Error = UnsafeName;

    fn try_from(name: String) -> Result<Self, UnsafeName> {
        Self::new(&name)
    }
}

impl From<SafeName> for String {
    fn from(name: SafeName) -> Self {
        name.0
    }
}

impl fmt::Display for SafeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for SafeName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<Path> for SafeName {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

#[cfg(test)]
mod tests;
