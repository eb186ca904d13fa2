//! Folding and cutting of words, look-alikes, and what is invisible.

use choir_shared::text::{
    MAX_TOKEN_BYTES, MAX_TOKENS, escape_controls, fold, index_tokens, is_invisible, query_tokens, skeleton, tokens,
};

use super::utf8;

/// Any text: a title, a name, a query.
pub fn text(text: &[u8]) {
    let Some(text) = utf8(text) else { return };
    let folded = fold(text);
    assert_eq!(fold(&folded), folded, "folding twice changes nothing");

    let (read, asked, kept) = (tokens(text), query_tokens(text), index_tokens(text));
    for list in [&read, &asked, &kept] {
        assert!(list.len() <= MAX_TOKENS);
        assert!(list.iter().all(|token| (1..=MAX_TOKEN_BYTES).contains(&token.len())));
    }
    assert!(asked.iter().all(|token| read.contains(token)));
    // Only a text that fills the index may lose words there.
    if kept.len() < MAX_TOKENS {
        let lost = asked.iter().find(|token| !kept.contains(token));
        assert_eq!(lost, None, "{text:?} is not found by itself, only by {kept:?}");
    }

    // Not even the table of look-alikes is proved to come to rest, so only names of people are held to it.
    if text.chars().count() <= 32 {
        let shape = skeleton(text);
        assert_eq!(skeleton(&shape), shape, "a skeleton is its own");
    }

    let shown = escape_controls(text);
    assert_eq!(escape_controls(&shown), shown, "what is safe is left as it is");
    // The joiners of words and the selectors of pictures, which real titles need.
    let needed = ['\u{200c}', '\u{200d}', '\u{fe0e}', '\u{fe0f}'];
    assert_eq!(shown.chars().find(|c| is_invisible(*c) && !needed.contains(c)), None);
}
