//! Which claim is shown when holders disagree: field by field, the value with the most votes.
//!
//! - **Each field is decided by itself**, so that one holder's good title and another's good album both count. Who
//!   says nothing of a field abstains.
//! - **Tags beat paths** for what is written in tags: a single file's own tags know more than any number of folders.
//!   Technical fields are measured, not written, and every measurement counts alike.
//! - **Ties** go to the value of the variant with more votes, then of the smaller claim hash: the same votes have the
//!   same result in whatever order they came.

use std::cmp::Reverse;

use choir_shared::claim::Origin;
use choir_shared::{Claim, Digest};

/// A claim and how many networks stand for it.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) claim: Claim,
    pub(super) hash: Digest,
    pub(super) voters: u32,
}

/// The claim to show, or `None` if there is no candidate.
pub(super) fn elect(mut candidates: Vec<Candidate>) -> Option<Claim> {
    candidates.sort_by_key(|candidate| (Reverse(candidate.voters), candidate.hash));
    let all = &candidates;
    let first = &all.first()?.claim;
    let tagged = all.iter().any(|candidate| candidate.claim.origin == Some(Origin::Tags));

    Some(
        Claim {
            version: first.version,
            kind: measured(all, |claim| Some(claim.kind))?,
            format: measured(all, |claim| Some(claim.format.clone()))?,
            duration_ms: measured(all, |claim| claim.duration_ms),
            title: written(all, |claim| claim.title.clone()),
            artist: written(all, |claim| claim.artist.clone()),
            album: written(all, |claim| claim.album.clone()),
            album_artist: written(all, |claim| claim.album_artist.clone()),
            track: written(all, |claim| claim.track),
            track_total: written(all, |claim| claim.track_total),
            disc: written(all, |claim| claim.disc),
            disc_total: written(all, |claim| claim.disc_total),
            year: written(all, |claim| claim.year),
            genre: written(all, |claim| claim.genre.clone()),
            compilation: written(all, |claim| claim.compilation),
            bitrate_kbps: measured(all, |claim| claim.bitrate_kbps),
            vbr: measured(all, |claim| claim.vbr),
            sample_rate_hz: measured(all, |claim| claim.sample_rate_hz),
            bit_depth: measured(all, |claim| claim.bit_depth),
            channels: measured(all, |claim| claim.channels),
            mb_recording: written(all, |claim| claim.mb_recording.clone()),
            mb_release: written(all, |claim| claim.mb_release.clone()),
            audio: measured(all, |claim| claim.audio),
            file_name: measured(all, |claim| claim.file_name.clone()),
            origin: if tagged { Some(Origin::Tags) } else { first.origin },
            extra: first.extra.clone(),
        }
        .clamp(),
    )
}

fn written<T: PartialEq>(candidates: &[Candidate], field: impl Fn(&Claim) -> Option<T>) -> Option<T> {
    decide(candidates, field, |candidate| match candidate.claim.origin {
        Some(Origin::Tags) => Weight { tags: candidate.voters, paths: 0 },
        Some(Origin::Path) | None => Weight { tags: 0, paths: candidate.voters },
    })
}

fn measured<T: PartialEq>(candidates: &[Candidate], field: impl Fn(&Claim) -> Option<T>) -> Option<T> {
    decide(candidates, field, |candidate| Weight { tags: 0, paths: candidate.voters })
}

/// The order of the fields is the policy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    tags: u32,
    paths: u32,
}

/// The value with the greatest weight; among equals the one that came first.
fn decide<T: PartialEq>(
    candidates: &[Candidate],
    field: impl Fn(&Claim) -> Option<T>,
    weight: impl Fn(&Candidate) -> Weight,
) -> Option<T> {
    let mut values: Vec<(T, Weight)> = Vec::new();
    for candidate in candidates {
        let Some(value) = field(&candidate.claim) else { continue };
        let more = weight(candidate);
        match values.iter_mut().find(|(known, _)| *known == value) {
            Some((_, sum)) => {
                sum.tags = sum.tags.saturating_add(more.tags);
                sum.paths = sum.paths.saturating_add(more.paths);
            }
            None => values.push((value, more)),
        }
    }
    // `max_by_key` returns the last of equals.
    values.into_iter().rev().max_by_key(|&(_, weight)| weight).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn says(title: &str, album: &str, origin: Origin, voters: u32) -> Candidate {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let claim = Claim { title: text(title), album: text(album), origin: Some(origin), ..Claim::default() };
        Candidate { hash: claim.hash(), claim, voters }
    }

    #[test]
    fn every_field_is_decided_by_itself() {
        let shown = elect(vec![
            says("Right", "Wrong album", Origin::Tags, 1),
            says("Right", "", Origin::Tags, 2),
            says("Wrong", "Right album", Origin::Tags, 2),
            says("", "Right album", Origin::Tags, 1),
        ])
        .unwrap();
        assert_eq!(shown.title.as_deref(), Some("Right"));
        assert_eq!(shown.album.as_deref(), Some("Right album"));
    }

    #[test]
    fn one_files_own_tags_beat_any_number_of_folders() {
        let shown =
            elect(vec![says("03 - song", "", Origin::Path, 500), says("Song", "Album", Origin::Tags, 1)]).unwrap();
        assert_eq!((shown.title.as_deref(), shown.origin), (Some("Song"), Some(Origin::Tags)));
        assert_eq!(elect(Vec::new()), None);
    }

    proptest! {
        #[test]
        fn the_result_forgets_the_order(
            seeds in proptest::collection::vec((0..4u8, 0..3u8, any::<bool>(), 1..4u32), 1..8),
            shuffle: u64,
        ) {
            let texts = ["", "a", "b", "c"];
            let candidates: Vec<Candidate> = seeds.iter().map(|&(title, album, tags, voters)| {
                let origin = if tags { Origin::Tags } else { Origin::Path };
                says(texts[usize::from(title)], texts[usize::from(album)], origin, voters)
            }).collect();
            let mut other = candidates.clone();
            other.sort_by_key(|candidate| Digest::of(&[candidate.hash.as_bytes().as_slice(), &shuffle.to_be_bytes()].concat()));
            prop_assert_eq!(elect(candidates), elect(other));
        }

        #[test]
        fn two_networks_beat_one(junk in "[a-z]{1,5}") {
            let shown = elect(vec![says(&junk, "", Origin::Tags, 1), says("Song", "", Origin::Tags, 2)]).unwrap();
            prop_assert_eq!(shown.title.as_deref(), Some("Song"));
        }
    }
}
