//! What people type and what is written in tags, made comparable; and strangers' text, made safe to print.
//!
//! Index and query go through the same functions, so that nothing is findable by one spelling of a character and
//! lost under another:
//!
//! - [`fold()`] removes what keyboards and taggers disagree about: case, accents, compatibility forms.
//! - [`tokens`] cuts folded text into words the way a reader says them. [`query_tokens`] is the same without
//!   repetitions; [`index_tokens`] adds the other ways in which the text may be asked for, and is a superset.
//! - [`skeleton()`] is equal for names that look alike.
//! - [`escape_controls`] is what every text of a stranger goes through before a terminal or a log shows it.

mod fold;
mod invisible;
mod skeleton;
mod words;

pub use fold::fold;
pub use invisible::{escape_controls, is_invisible};
pub use skeleton::skeleton;
pub use words::{MAX_TOKEN_BYTES, MAX_TOKENS, index_tokens, is_unspaced, query_tokens, tokens, without_article};

/// The longest beginning of `text` of at most `limit` bytes that does not cut a character in two.
pub(crate) fn truncated(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}
