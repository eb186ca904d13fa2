//! Names that look alike.

use unicode_normalization::UnicodeNormalization;

/// Equal for display names that a reader may take for each other: `Bob`, `BOB` and `Воb` (with Cyrillic letters).
///
/// The skeleton of UTS 39, section 4, closed under case. `i` joins `l`, because `I` is the upper case of the one
/// and the image of the other. Names are to be unique by [`fold`](super::fold()) *and* by skeleton: neither covers
/// the other (Cyrillic `в` is the lower case of a letter that looks like `B`, but looks like no `b` itself).
pub fn skeleton(name: &str) -> String {
    let mut shape = name.to_owned();
    for _ in 0..MAX_ROUNDS {
        let simpler = simplified(&shape);
        if simpler == shape {
            break;
        }
        shape = simpler;
    }
    shape
}

/// Two or three rounds settle every name we have seen; the bound is for tables that we have not.
const MAX_ROUNDS: usize = 8;

/// One round: what a look-alike is replaced with may have an upper case or a look-alike of its own.
fn simplified(name: &str) -> String {
    let compatible: String = name.nfkc().collect();
    let shape: String = unicode_security::skeleton(&compatible).collect();
    let folded = caseless::default_case_fold_str(&shape).replace('i', "l");
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn look_alikes_share_a_skeleton() {
        let groups: [&[&str]; 7] = [
            &["Bob", "BOB", "bob", "Воb", "B\u{200b}ob", "Ｂｏｂ", " Bob "],
            &["Ian", "lan", "1an", "ian", "|an"],
            &["paypal", "pаypаl", "PAYPAL", "paypa1"],
            &["tim", "TIM", "tirn"],
            &["O0o", "0oO"],
            &["100%", "l0O%"],
            &["a  b", "a b", "a\u{a0}b"],
        ];
        for group in groups {
            for name in group {
                assert_eq!(skeleton(name), skeleton(group[0]), "{name}");
            }
        }
        assert_ne!(skeleton("anna"), skeleton("hanna"));
        assert_ne!(skeleton("宇多田"), skeleton("宇多"));
    }

    proptest! {
        #[test]
        fn case_of_plain_letters_never_tells_names_apart(name in "[ -~]{1,32}") {
            prop_assert_eq!(skeleton(&name.to_uppercase()), skeleton(&name.to_lowercase()));
        }

        #[test]
        fn a_skeleton_is_its_own_skeleton(name in ".{0,32}") {
            let once = skeleton(&name);
            prop_assert_eq!(skeleton(&once), once);
        }
    }
}
