//! How many cells of a terminal a text takes.
//!
//! Ideographs, kana, Hangul and pictures take two, marks that sit on another letter none (Unicode Standard Annex 11
//! and the general category Mn). The ranges are those that names of songs have; a rare sign that is measured wrong
//! makes a row one cell longer, nothing worse.

/// The cells of an escaped text.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(cells).sum()
}

/// The longest beginning of `text` that fits into `limit` cells, with `…` at its end if anything is left out.
pub(super) fn fitted(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let room = limit.saturating_sub(1);
    let mut used = 0;
    let mut cut: String = text
        .chars()
        .take_while(|c| {
            used += cells(*c);
            used <= room
        })
        .collect();
    cut.truncate(cut.trim_end().len());
    if limit > 0 {
        cut.push('…');
    }
    cut
}

const fn cells(c: char) -> usize {
    match c {
        ' '..='~' => 1,
        '\u{300}'..='\u{36f}'
        | '\u{483}'..='\u{489}'
        | '\u{591}'..='\u{5bd}'
        | '\u{5bf}'
        | '\u{5c1}'..='\u{5c2}'
        | '\u{5c4}'..='\u{5c5}'
        | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}'
        | '\u{670}'
        | '\u{6d6}'..='\u{6dc}'
        | '\u{6df}'..='\u{6e4}'
        | '\u{6e7}'..='\u{6e8}'
        | '\u{6ea}'..='\u{6ed}'
        | '\u{900}'..='\u{902}'
        | '\u{93c}'
        | '\u{941}'..='\u{948}'
        | '\u{94d}'
        | '\u{e31}'
        | '\u{e34}'..='\u{e3a}'
        | '\u{e47}'..='\u{e4e}'
        | '\u{eb1}'
        | '\u{eb4}'..='\u{ebc}'
        | '\u{ec8}'..='\u{ece}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}'
        | '\u{200b}'..='\u{200f}'
        | '\u{20d0}'..='\u{20f0}'
        | '\u{3099}'..='\u{309a}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{fe20}'..='\u{fe2f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{33ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{a000}'..='\u{a4cf}'
        | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff01}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f900}'..='\u{1f9ff}'
        | '\u{1fa70}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wide_letters_count_twice_and_marks_not_at_all() {
        let table = [
            ("", 0),
            ("Post", 4),
            ("Björk", 5),
            ("Bjo\u{308}rk", 5),
            ("宇多田ヒカル", 12),
            ("한국", 4),
            ("ﾋｶﾙ", 3),
            ("🎵", 2),
            ("สวัสดี", 4),
        ];
        for (text, cells) in table {
            assert_eq!(width(text), cells, "{text}");
        }
        assert_eq!(fitted("宇多田ヒカル", 6), "宇多…");
        assert_eq!(fitted("Hyper ballad", 7), "Hyper…");
        assert_eq!(fitted("abc", 3), "abc");
        assert_eq!(fitted("abc", 0), "");
    }

    proptest! {
        #[test]
        fn what_is_fitted_fits(text: String, limit in 0usize..40) {
            prop_assert!(width(&fitted(&text, limit)) <= limit);
        }
    }
}
