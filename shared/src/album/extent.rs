//! How much of an album there is.

use std::collections::{BTreeMap, HashMap};

use super::AlbumTrack;

/// For each track which song of its album it is. Copies are the same song: they have the same number, or none and the
/// title of one that has.
pub fn songs(tracks: &[AlbumTrack]) -> Vec<Song> {
    let numbered: HashMap<u64, (u32, u32)> =
        tracks.iter().filter_map(|track| Some((track.title?, track.slot()?))).collect();
    let song = |track: &AlbumTrack| match (track.slot(), track.title) {
        (Some(slot), _) => Song::Numbered(slot),
        (None, Some(title)) => numbered.get(&title).map_or(Song::Titled(title), |slot| Song::Numbered(*slot)),
        (None, None) => Song::Unknown,
    };
    tracks.iter().map(song).collect()
}

/// What tells one song of an album from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Song {
    /// Disc and track.
    Numbered((u32, u32)),
    Titled(u64),
    Unknown,
}

/// How many songs the album of these tracks has, as most of them say; `None` if they say nothing of some disc.
pub fn track_total(tracks: &[AlbumTrack]) -> Option<u32> {
    let mut discs: BTreeMap<u32, BTreeMap<u32, u32>> = BTreeMap::new();
    let mut disc_totals: BTreeMap<u32, u32> = BTreeMap::new();
    for track in tracks {
        let totals = discs.entry(track.disc.unwrap_or(1)).or_default();
        track.track_total.into_iter().for_each(|total| *totals.entry(total).or_default() += 1);
        track.disc_total.into_iter().for_each(|total| *disc_totals.entry(total).or_default() += 1);
    }
    let greatest = discs.keys().next_back().copied()?;
    let last = commonest(&disc_totals).unwrap_or(greatest).max(greatest);
    // Of a disc that nobody has anything of, nobody says how long it is.
    if u64::from(last) > discs.len() as u64 {
        return None;
    }
    discs.values().map(commonest).sum()
}

/// The value with most votes; of equals the greatest.
fn commonest(votes: &BTreeMap<u32, u32>) -> Option<u32> {
    votes.iter().max_by_key(|(value, votes)| (**votes, **value)).map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::claim::Claim;

    fn track(title: &str, disc: Option<u32>, track: Option<u32>, track_total: Option<u32>) -> AlbumTrack {
        let claim = Claim {
            album: Some("Album".to_owned()),
            title: Some(title.to_owned()),
            disc,
            track,
            track_total,
            ..Claim::default()
        };
        AlbumTrack::of(&claim).unwrap()
    }

    fn of(tracks: &[AlbumTrack]) -> (usize, Option<u32>) {
        let songs: BTreeSet<Song> = songs(tracks).into_iter().collect();
        (songs.len(), track_total(tracks))
    }

    #[test]
    fn copies_of_one_song_count_once() {
        let one = track("One", None, Some(1), Some(3));
        let copies = [one, track("one", Some(1), Some(1), None), track("ONE", None, None, None)];
        assert_eq!(of(&copies), (1, Some(3)));
        assert_eq!(of(&[one, track("Two", None, Some(2), Some(3)), track("Three", None, None, None)]), (3, Some(3)));
        assert_eq!(of(&[]), (0, None));
    }

    #[test]
    fn the_total_is_what_most_copies_say_of_every_disc() {
        let first = |total| track("a", Some(1), Some(1), total);
        let second = |total| track("b", Some(2), Some(1), total);
        assert_eq!(of(&[first(Some(9)), first(Some(12)), first(Some(12)), second(Some(5))]), (2, Some(17)));
        assert_eq!(of(&[first(Some(9)), second(None)]), (2, None));
        assert_eq!(of(&[second(Some(5))]), (1, None), "of the first disc nothing is known");
        let of_two = AlbumTrack { disc_total: Some(2), ..first(Some(9)) };
        assert_eq!(of(&[of_two]), (1, None));
        assert_eq!(of(&[track("a", Some(u32::MAX), Some(1), Some(9_999))]), (1, None));
    }
}
