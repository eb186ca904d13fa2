//! Characters that are not there to be read: they move the cursor, turn the writing direction, or hide.
//!
//! In a terminal they can rewrite what stands above them; in a name they make two of what looks like one.

use std::borrow::Cow;

/// Whether `c` prints nothing of its own: a control, a line separator, a bidirectional or zero-width character or
/// another that Unicode's `Default_Ignorable_Code_Point` names, or a code point that is no character.
pub fn is_invisible(c: char) -> bool {
    if c.is_control() || c as u32 & 0xfffe == 0xfffe {
        return true;
    }
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// `text`, safe on a terminal and on one line of a log: every invisible character is shown as `\u{…}`.
///
/// Two harmless ones stay, because real titles need them: the joiners within Arabic and Indic words, and the
/// selectors that choose between the text and the picture form of a sign.
pub fn escape_controls(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_invisible) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut before = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if is_invisible(c) && !is_needed(before, c, rest.clone().next()) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
        before = Some(c);
    }
    Cow::Owned(safe)
}

fn is_needed(before: Option<char>, c: char, after: Option<char>) -> bool {
    match c {
        '\u{200c}' | '\u{200d}' => before.is_some_and(joins) && after.is_some_and(joins),
        '\u{fe0e}' | '\u{fe0f}' => before.is_some_and(|before| !is_invisible(before)),
        _ => false,
    }
}

/// A letter of Arabic, of Syriac, or of a script of India.
fn joins(c: char) -> bool {
    matches!(c, '\u{620}'..='\u{8ff}' | '\u{900}'..='\u{dff}') && !is_invisible(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_moves_the_cursor_or_hides_is_shown() {
        let cases = [
            ("plain Björk 宇多田", "plain Björk 宇多田"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\r\nb\tc\0", "a\\u{d}\\u{a}b\\u{9}c\\u{0}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("exe\u{202e}gpj.3pm", "exe\\u{202e}gpj.3pm"),
            ("a\u{200b}b\u{feff}c\u{2066}d", "a\\u{200b}b\\u{feff}c\\u{2066}d"),
            ("a\u{200d}b", "a\\u{200d}b"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("❤\u{fe0f}", "❤\u{fe0f}"),
            ("\u{fe0f}\u{e0041}", "\\u{fe0f}\\u{e0041}"),
        ];
        for (text, safe) in cases {
            assert_eq!(escape_controls(text), safe);
        }
    }

    proptest! {
        #[test]
        fn no_control_or_direction_change_survives(text in "[\\PC\\p{C}]*") {
            let safe = escape_controls(&text);
            let harmless = ['\u{200c}', '\u{200d}', '\u{fe0e}', '\u{fe0f}'];
            let left = safe.chars().find(|c| is_invisible(*c) && !harmless.contains(c));
            prop_assert_eq!(left, None);
            prop_assert_eq!(escape_controls(&safe), safe.clone());
        }
    }
}
