//! What comes first for what people type: a list of pairs, kept as data beside this file.

use std::collections::HashSet;

use super::*;

const SONGS: &str = include_str!("relevance/songs.tsv");
const PAIRS: &str = include_str!("relevance/pairs.tsv");

/// So many rows at the top must be by the artist that is asked for, or on the album, if it has as many.
const ROWS: usize = 3;

struct Song<'a> {
    artist: &'a str,
    album: &'a str,
    title: &'a str,
}

fn lines(data: &str) -> impl Iterator<Item = &str> {
    data.lines().filter(|line| !line.starts_with('#'))
}

fn songs() -> Vec<Song<'static>> {
    let of_album = |line: &'static str| {
        let [artist, album, titles] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        titles.split(" · ").map(move |title| Song { artist, album, title })
    };
    lines(SONGS).flat_map(of_album).collect()
}

/// What is wrong with these rows, if anything is.
fn wrong(songs: &[Song<'_>], expected: &str, what: &str, rows: &[&Song<'_>]) -> Option<String> {
    let first = rows.first().map_or_else(|| "nothing".to_owned(), |row| format!("{} – {}", row.artist, row.title));
    let names: &dyn Fn(&Song<'_>) -> bool = match expected {
        "none" => return (!rows.is_empty()).then_some(first),
        "song" => &|song| format!("{} – {}", song.artist, song.title) == what,
        "album" => &|song| format!("{} – {}", song.artist, song.album) == what,
        "artist" => &|song| song.artist == what,
        _ => panic!("{expected}"),
    };
    let there_are = songs.iter().filter(|song| names(song)).count();
    assert!(there_are > 0, "{what} is no song of the list");
    let leading = rows.iter().take_while(|row| names(row)).count();
    (leading < there_are.min(ROWS)).then(|| format!("{leading} rows, {first} first"))
}

#[test]
fn what_is_meant_comes_first() {
    let songs = songs();
    let catalogue = Catalogue::with(
        songs.iter().map(|song_| Claim { album: Some(song_.album.to_owned()), ..song(song_.artist, song_.title) }),
    );
    let mut asked = HashSet::new();
    let mut failures = Vec::new();
    for line in lines(PAIRS) {
        let mut columns = line.split('\t');
        let (typed, expected) = (columns.next().unwrap(), columns.next().unwrap());
        assert!(asked.insert(typed), "{typed} is there twice");
        let found = catalogue.find(&typed.replace('␣', " "));
        let rows: Vec<&Song<'_>> = found.iter().map(|no| &songs[*no as usize - 1]).collect();
        if let Some(wrong) = wrong(&songs, expected, columns.next().unwrap_or_default(), &rows) {
            failures.push(format!("{line}: {wrong}"));
        }
    }
    assert!(asked.len() >= 300);
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), asked.len(), failures.join("\n"));
}
