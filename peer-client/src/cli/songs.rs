//! Files as numbered rows.

use super::table::{Align, Table};
use super::units;
use crate::api::types::FileRow;

/// The rows, numbered from one for `choir get @N`.
pub(super) fn table(rows: &[FileRow]) -> Table {
    let mut table = Table::new(&[
        ("#", Align::Right),
        ("Song", Align::Elastic),
        ("Album", Align::Elastic),
        ("Length", Align::Right),
        ("Format", Align::Left),
        ("Size", Align::Right),
        ("Sources", Align::Right),
        ("Have", Align::Left),
    ]);
    for (position, row) in rows.iter().enumerate() {
        table.push([
            (position + 1).to_string(),
            song(row),
            row.album.clone().unwrap_or_default(),
            row.duration_ms.map(units::length).unwrap_or_default(),
            quality(row),
            units::size(row.size),
            row.sources.to_string(),
            if row.have { "✓" } else { "" }.to_owned(),
        ]);
    }
    table
}

/// `Björk – Hyperballad`, or the name of the file.
pub(super) fn song(row: &FileRow) -> String {
    match (&row.artist, &row.title) {
        (Some(artist), Some(title)) => format!("{artist} – {title}"),
        (None, Some(title)) => title.clone(),
        _ => row.download_name(),
    }
}

/// `mp3 320`
fn quality(row: &FileRow) -> String {
    match row.bitrate_kbps {
        Some(bitrate) => format!("{} {bitrate}", row.format),
        None => row.format.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::row;
    use crate::cli::width::width;

    #[test]
    fn wide_and_hostile_names_keep_the_rows_in_shape() {
        let mut wide = row(1, "First Love");
        wide.artist = Some("宇多田ヒカル".into());
        let mut hostile = row(2, "\u{1b}[2J\u{202e}gone");
        hostile.have = true;
        let mut bare = row(3, "");
        (bare.artist, bare.title, bare.file_name, bare.bitrate_kbps) = (None, None, None, None);
        let lines = table(&[wide, hostile, bare]).lines(None);
        assert_eq!(
            lines,
            [
                "#  Song                           Album  Length  Format       Size  Sources  Have",
                "1  宇多田ヒカル – First Love      Post     3:45  flac 900  1.0 MiB        2",
                "2  Björk – \\u{1b}[2J\\u{202e}gone  Post     3:45  flac 900  1.0 MiB        2  ✓",
                "3  03030303.flac                  Post     3:45  flac      1.0 MiB        2",
            ]
        );
        for limit in [60, 80, 100] {
            let rows = table(&[row(1, &"愛".repeat(100)), row(2, &"a".repeat(100))]).lines(Some(limit));
            assert!(rows.iter().all(|line| width(line) <= limit), "{rows:#?}");
            assert!(rows[1].contains("flac 900"), "{rows:#?}");
        }
    }
}
