//! The endings of album titles that name an edition or a disc: `(Remastered 2011)`, `[Deluxe Edition]`, `CD1`.

use crate::text;

/// `title` without endings that name an edition or a disc, as long as anything else is left.
pub(super) fn base_title(title: &str) -> &str {
    split_title(title).0
}

/// The same, and the number of the disc that an ending names.
pub(super) fn split_title(title: &str) -> (&str, Option<u32>) {
    let mut base = title.trim();
    let mut disc = None;
    while let Some((before, ending)) = last_bracket(base).or_else(|| last_segment(base)).or_else(|| last_words(base)) {
        let before = before.trim_end_matches([' ', ',', ':', '-', '–', '—']);
        if before.is_empty() || !(names_edition(ending) || names_disc(ending)) {
            break;
        }
        disc = disc.or_else(|| disc_number(ending));
        base = before;
    }
    (base, disc)
}

/// `Title (ending)`, with any brackets.
fn last_bracket(title: &str) -> Option<(&str, &str)> {
    let inner = title.strip_suffix([')', ']', '}'])?;
    let open = inner.rfind(['(', '[', '{'])?;
    Some((inner.get(..open)?, inner.get(open + 1..)?))
}

/// `Title - ending`, if the ending names an edition or a disc.
fn last_segment(title: &str) -> Option<(&str, &str)> {
    title.rsplit_once(" - ").filter(|(_, ending)| names_edition(ending) || names_disc(ending))
}

/// `Title CD1`, `Title, Disc 2`.
fn last_words(title: &str) -> Option<(&str, &str)> {
    let mut spaces = title.rmatch_indices(' ').map(|(position, _)| position);
    let splits = [spaces.next(), spaces.next()];
    splits
        .into_iter()
        .flatten()
        .filter_map(|position| title.split_at_checked(position))
        .find(|(_, ending)| names_disc(ending))
}

/// Whether any word of an ending says that it names an edition.
fn names_edition(ending: &str) -> bool {
    text::tokens(ending).iter().any(|word| {
        matches!(
            word.as_str(),
            "anniversary"
                | "bonus"
                | "deluxe"
                | "edition"
                | "expanded"
                | "explicit"
                | "reissue"
                | "remaster"
                | "remastered"
        )
    })
}

fn names_disc(ending: &str) -> bool {
    disc_number(ending).is_some()
}

/// `CD1`, `cd 1`, `Disc One`.
fn disc_number(ending: &str) -> Option<u32> {
    let words = text::tokens(ending);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (medium, number) = match *words.as_slice() {
        [word] => word.split_at(word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len())),
        [medium, number] => (medium, number),
        _ => return None,
    };
    if !matches!(medium, "cd" | "disc" | "disk") {
        return None;
    }
    match number {
        "one" => Some(1),
        "two" => Some(2),
        "three" => Some(3),
        "four" => Some(4),
        digits if digits.len() <= 2 && digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_that_name_an_edition_or_a_disc_are_cut() {
        let cases = [
            ("Homogenic", "Homogenic"),
            ("Homogenic (Remastered)", "Homogenic"),
            ("OK Computer [Deluxe Edition]", "OK Computer"),
            ("Rumours (2004 Remaster) [Explicit] CD1", "Rumours"),
            ("The Wall, Disc 2", "The Wall"),
            ("The Wall - CD 2", "The Wall"),
            ("The Wall (Disc Two)", "The Wall"),
            ("Abbey Road - Remastered 2019", "Abbey Road"),
            ("MTV Unplugged (Live)", "MTV Unplugged (Live)"),
            ("Remastered", "Remastered"),
            ("(Deluxe Edition)", "(Deluxe Edition)"),
            ("CD1", "CD1"),
            ("Disc 2", "Disc 2"),
            ("Area 51", "Area 51"),
            ("Volume 2", "Volume 2"),
            ("Songs - Ohia", "Songs - Ohia"),
            (")(", ")("),
            ("", ""),
        ];
        for (title, base) in cases {
            assert_eq!(base_title(title), base, "{title}");
        }
    }

    #[test]
    fn an_ending_may_tell_the_disc() {
        let cases = [
            ("The Wall CD 2", Some(2)),
            ("The Wall [Disc Two] (Remastered)", Some(2)),
            ("The Wall (Remastered)", None),
            ("CD1", None),
        ];
        for (title, disc) in cases {
            assert_eq!(split_title(title).1, disc, "{title}");
        }
    }
}
