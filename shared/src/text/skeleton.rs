//! Names that look alike.

use unicode_normalization::UnicodeNormalization;

/// Equal for display names that a reader may take for each other: `Bob`, `BOB` and `Воb` (with Cyrillic letters).
///
/// The skeleton of UTS 39, section 4, closed under case. `i` joins `l`, because `I` is the upper case of the one
/// and the image of the other. Names are to be unique by [`fold`](super::fold) *and* by skeleton: neither covers
/// the other (Cyrillic `в` is the lower case of a letter that looks like `B`, but looks like no `b` itself).
pub fn skeleton(name: &str) -> String {
    let mut shape: String = name.nfkc().collect();
    // In practice the second round is the last; the bound only guards against an odd table.
    for _ in 0..MAX_ROUNDS {
        let closer: String = caseless::default_case_fold_str(&reduced(&shape)).replace('i', "l");
        if closer == shape {
            break;
        }
        shape = closer;
    }
    shape.split_whitespace().collect::<Vec<_>>().join(" ")
}

const MAX_ROUNDS: usize = 8;

fn reduced(name: &str) -> String {
    unicode_security::skeleton(name).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn look_alikes_share_a_skeleton() {
        let groups: [&[&str]; 6] = [
            &["Bob", "BOB", "bob", "Воb", "B\u{200b}ob", "Ｂｏｂ", " Bob "],
            &["Ian", "lan", "1an", "ian", "|an"],
            &["paypal", "pаypаl", "PAYPAL", "paypa1"],
            &["tim", "TIM", "tirn"],
            &["O0o", "0oO"],
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
