//! Which names a member may be shown by.
//!
//! A name is one line of 1 to [`MAX_NAME_CHARS`] characters that can be seen: what hides, turns the writing
//! direction or moves the cursor would make two of what looks like one. Names that speak for the index are nobody's,
//! in every spelling that looks like them. The key stays the identity; a name is for reading.

use choir_shared::index_api::people::MAX_NAME_CHARS;
use choir_shared::text::{fold, is_invisible, skeleton};

/// Names under which somebody could speak for the index, or that programs use for nobody.
const RESERVED: [&str; 14] = [
    "admin",
    "administrator",
    "anonymous",
    "choir",
    "everyone",
    "index",
    "moderator",
    "nobody",
    "operator",
    "owner",
    "root",
    "server",
    "support",
    "system",
];

/// A name that may be shown, with the two forms in which it must be unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName {
    text: String,
    folded: String,
    skeleton: String,
}

impl DisplayName {
    /// Blanks around the name are taken off and runs of blanks within made one.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        if text.chars().any(is_invisible) {
            return Err(InvalidName::Invisible);
        }
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (folded, skeleton) = (fold(&text), skeleton(&text));
        if text.is_empty() || folded.trim().is_empty() || skeleton.is_empty() {
            return Err(InvalidName::Empty);
        }
        if text.chars().count() > MAX_NAME_CHARS {
            return Err(InvalidName::TooLong);
        }
        if RESERVED.iter().any(|reserved| fold(reserved) == folded || self::skeleton(reserved) == skeleton) {
            return Err(InvalidName::Reserved);
        }
        Ok(Self { text, folded, skeleton })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Equal for names that differ only in case and accents.
    pub(super) fn folded(&self) -> &str {
        &self.folded
    }

    /// Equal for names that look alike.
    pub(super) fn skeleton(&self) -> &str {
        &self.skeleton
    }
}

/// Why a name may not be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    #[error("a name has at least one visible character")]
    Empty,
    #[error("a name has at most {MAX_NAME_CHARS} characters")]
    TooLong,
    #[error("a name has no invisible characters")]
    Invisible,
    #[error("this name is reserved")]
    Reserved,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_visible_short_and_nobodys_office() {
        assert_eq!(DisplayName::new("  Anna   Björk ").unwrap().as_str(), "Anna Björk");
        assert_eq!(DisplayName::new(&"愛".repeat(32)).unwrap().as_str().chars().count(), 32);
        let refused = [
            ("", InvalidName::Empty),
            (" \u{a0} ", InvalidName::Empty),
            (&"x".repeat(33), InvalidName::TooLong),
            ("a\u{202e}b", InvalidName::Invisible),
            ("a\nb", InvalidName::Invisible),
            ("b\u{200b}ob", InvalidName::Invisible),
            ("Admin", InvalidName::Reserved),
            ("аdmin", InvalidName::Reserved),
            ("ADM1N", InvalidName::Reserved),
            ("Ｃｈｏｉｒ", InvalidName::Reserved),
        ];
        for (name, reason) in refused {
            assert_eq!(DisplayName::new(name), Err(reason), "{name:?}");
        }
    }

    #[test]
    fn what_looks_alike_shares_a_form() {
        let name = |text| DisplayName::new(text).unwrap();
        assert_eq!(name("Bob").skeleton(), name("Воb").skeleton());
        assert_eq!(name("Björk").folded(), name("BJORK").folded());
    }
}
