//! An album among the results of a search: which rows belong together, and which copy of each track to take.

use std::collections::BTreeMap;

use choir_shared::text::fold;

use crate::api::types::{FileRow, LeftOut};

/// The albums among `rows`, in the order of their best row. Rows without an album are nobody's.
pub(super) fn grouped(rows: Vec<FileRow>) -> Vec<Vec<FileRow>> {
    let mut albums: Vec<(String, Vec<FileRow>)> = Vec::new();
    for row in rows {
        let Some(key) = row.album_key.clone() else { continue };
        match albums.iter_mut().find(|(known, _)| *known == key) {
            Some((_, rows)) => rows.push(row),
            None => albums.push((key, vec![row])),
        }
    }
    albums.into_iter().map(|(_, rows)| rows).collect()
}

/// One file for each track, in order. The field order is the policy of which copy that is.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Somebody can send it now.
    online: bool,
    /// An album in one format: the one that has most of its tracks.
    tracks_in_this_format: usize,
    sources: u32,
    bitrate_kbps: u32,
}

/// The best copy of each track of one album, and what is left out for it.
pub(super) fn one_of_each(rows: &[FileRow]) -> (Vec<&FileRow>, Vec<LeftOut>) {
    let mut tracks: BTreeMap<(u32, String), Vec<&FileRow>> = BTreeMap::new();
    for row in rows {
        tracks.entry(track(row)).or_default().push(row);
    }
    let has = |copies: &[&FileRow], format: &str| copies.iter().any(|row| row.format == format);
    let mut formats: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        formats
            .entry(&row.format)
            .or_insert_with_key(|format| tracks.values().filter(|copies| has(copies, format)).count());
    }
    let rank = |row: &FileRow| Rank {
        online: row.sources > 0 || row.have,
        tracks_in_this_format: formats.get(row.format.as_str()).copied().unwrap_or(0),
        sources: row.sources,
        bitrate_kbps: row.bitrate_kbps.unwrap_or(0),
    };
    let best: Vec<&FileRow> = tracks
        .into_values()
        .filter_map(|copies| copies.into_iter().reduce(|best, row| if rank(row) > rank(best) { row } else { best }))
        .collect();
    let others = (rows.len() - best.len()) as u64;
    let left_out =
        (others > 0).then(|| LeftOut { reason: "other copies of the same tracks".to_owned(), count: others });
    (best, left_out.into_iter().collect())
}

/// The folders for an album: artist, then album. Not yet safe.
pub(super) fn folder(rows: &[FileRow]) -> Vec<String> {
    let Some(row) = rows.first() else { return Vec::new() };
    let one_artist = || rows.iter().all(|other| other.artist == row.artist).then(|| row.artist.clone()).flatten();
    [row.album_artist.clone().or_else(one_artist), row.album.clone()].into_iter().flatten().collect()
}

/// What two copies of one track have in common. Tracks of two discs may have one number, but not one title.
fn track(row: &FileRow) -> (u32, String) {
    let title = row.title.as_deref().or(row.file_name.as_deref()).unwrap_or_default();
    (row.track.unwrap_or(u32::MAX), fold(title))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::row;

    fn copy(number: u8, track: u32, title: &str, format: &str, sources: u32) -> FileRow {
        FileRow { track: Some(track), format: format.to_owned(), sources, ..row(number, title) }
    }

    #[test]
    fn an_album_is_taken_in_one_format_as_far_as_it_goes() {
        let rows = [
            copy(1, 1, "Army of Me", "mp3", 9),
            copy(2, 2, "Hyperballad", "flac", 1),
            copy(3, 1, "army of me", "flac", 2),
            copy(4, 3, "Modern Things", "mp3", 1),
            copy(5, 4, "Oh So Quiet", "flac", 1),
            copy(6, 4, "Oh So Quiet", "flac", 3),
            copy(7, 1, "Disc Two", "flac", 1),
        ];
        let (tracks, left_out) = one_of_each(&rows);
        let taken: Vec<_> = tracks.iter().map(|row| row.file_id).collect();
        assert_eq!(taken, [3, 7, 2, 4, 6].map(|number| row(number, "").file_id));
        assert_eq!(left_out, [LeftOut { reason: "other copies of the same tracks".into(), count: 2 }]);
    }

    #[test]
    fn a_copy_that_nobody_online_has_comes_last() {
        let rows = [copy(1, 1, "a", "flac", 0), copy(2, 1, "a", "mp3", 1), copy(3, 2, "b", "flac", 1)];
        let (tracks, _) = one_of_each(&rows);
        assert_eq!(tracks.iter().map(|row| row.format.as_str()).collect::<Vec<_>>(), ["mp3", "flac"]);
    }

    #[test]
    fn albums_are_told_apart_by_their_key() {
        let other = FileRow { album_key: Some("x".into()), ..row(2, "b") };
        let single = FileRow { album_key: None, ..row(3, "c") };
        let albums = grouped(vec![row(1, "a"), other.clone(), single, row(4, "d")]);
        assert_eq!(albums, [vec![row(1, "a"), row(4, "d")], vec![other]]);
        assert_eq!(folder(&albums[0]), ["Björk", "Post"]);
        let mixed = [row(1, "a"), FileRow { artist: None, ..row(2, "b") }];
        assert_eq!(folder(&mixed), ["Post"]);
    }
}
