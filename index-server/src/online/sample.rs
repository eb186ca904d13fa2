//! A fair choice of some among many: whoever asks for sources gets others than whoever asks next.

/// `max` of `items`, each as likely as any other; all of them, shuffled, if there are not more.
///
/// The first steps of a Fisher-Yates shuffle, with SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast splittable
/// pseudorandom number generators", 2014) for dice: nobody gains anything by foreseeing them.
pub(super) fn sample<T: Copy>(items: &[T], max: usize, seed: u64) -> Vec<T> {
    // Swaps are noted instead of made, so that a few of many cost a few.
    let mut moved = std::collections::HashMap::new();
    let mut dice = seed;
    let mut chosen = Vec::with_capacity(max.min(items.len()));
    for position in 0..max.min(items.len()) {
        let left = (items.len() - position) as u64;
        let pick = position + (next(&mut dice) % left) as usize;
        let picked = moved.get(&pick).copied().unwrap_or(pick);
        let here = moved.get(&position).copied().unwrap_or(position);
        moved.insert(pick, here);
        chosen.extend(items.get(picked).copied());
    }
    chosen
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn everybody_is_chosen_about_as_often() {
        let mut times = [0u32; 10];
        for seed in 0..10_000 {
            sample(&[0usize, 1, 2, 3, 4, 5, 6, 7, 8, 9], 3, seed).into_iter().for_each(|item| times[item] += 1);
        }
        assert!(times.iter().all(|times| (2_700..3_300).contains(times)), "{times:?}");
    }

    proptest! {
        #[test]
        fn nobody_is_chosen_twice(count in 0..50usize, max in 0..60usize, seed: u64) {
            let items: Vec<usize> = (0..count).collect();
            let mut chosen = sample(&items, max, seed);
            prop_assert_eq!(chosen.len(), max.min(count));
            chosen.sort_unstable();
            chosen.dedup();
            prop_assert_eq!(chosen.len(), max.min(count));
            prop_assert!(chosen.iter().all(|item| *item < count));
        }
    }
}
