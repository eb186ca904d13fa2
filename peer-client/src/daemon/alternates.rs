//! Asks the indexes for other copies of a file.

use std::borrow::Cow;

use choir_shared::FileId;
use choir_shared::index_api::SearchRow;
use choir_shared::query::{Query, SearchParams};

use crate::download::about::About;
use crate::download::alternate::{Alternate, SAME_LENGTH_MS, alternates};
use crate::index_client::IndexClient;

/// Rows of each search; the best of them are offered.
const ROWS: u32 = 50;

/// Titles may be longer than a search: the first words of one tell enough apart, and what comes is compared whole.
const FEW_WORDS: usize = 3;

pub(super) async fn look_for(client: &IndexClient, file: FileId, about: &About) -> Vec<Alternate> {
    let mut about = Cow::Borrowed(about);
    if !about.identifies() {
        match describe(client, &file).await {
            Some(row) => about = Cow::Owned(About::of(&row)),
            None => return Vec::new(),
        }
    }
    let (by_audio, by_song) = tokio::join!(search(client, of_audio(&about)), search(client, of_song(&about)));
    alternates(file, &about, by_audio.into_iter().chain(by_song))
}

/// What an index knows of a file, though nobody online has it.
async fn describe(client: &IndexClient, file: &FileId) -> Option<SearchRow> {
    for index in client.indexes() {
        if let Ok(row) = index.file(file).await {
            return Some(row);
        }
    }
    None
}

async fn search(client: &IndexClient, query: Option<Query>) -> Vec<SearchRow> {
    match query {
        Some(query) => client.search_all(&query, &[]).await.rows.into_iter().map(|found| found.row).collect(),
        None => Vec::new(),
    }
}

fn of_audio(about: &About) -> Option<Query> {
    let audio = about.audio?.to_string();
    SearchParams { audio: Some(audio), limit: Some(ROWS), ..SearchParams::default() }.parse().ok()
}

fn of_song(about: &About) -> Option<Query> {
    let (artist, title, duration_ms) = (about.artist.as_deref()?, about.title.as_deref()?, about.duration_ms?);
    let first = |text: &str, words| text.split_whitespace().take(words).collect::<Vec<_>>().join(" ");
    [usize::MAX, FEW_WORDS].into_iter().find_map(|words| {
        let params = SearchParams {
            artist: Some(first(artist, words)),
            title: Some(first(title, words)),
            min_duration_ms: Some(duration_ms.saturating_sub(SAME_LENGTH_MS)),
            max_duration_ms: Some(duration_ms.saturating_add(SAME_LENGTH_MS)),
            limit: Some(ROWS),
            ..SearchParams::default()
        };
        params.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_that_is_too_long_for_a_search_is_searched_by_its_first_words() {
        let about = |title: &str| About {
            artist: Some("Anonymous".into()),
            title: Some(title.into()),
            duration_ms: Some(1_000),
            ..About::default()
        };
        let query = of_song(&about("Jóga")).unwrap();
        assert_eq!((query.title.as_deref(), query.artist.as_deref()), (Some("Jóga"), Some("Anonymous")));
        assert_eq!((query.min_duration_ms, query.max_duration_ms), (Some(0), Some(3_000)));
        let long: Vec<_> = (1..=20).map(|word| format!("w{word}")).collect();
        let query = of_song(&about(&long.join(" "))).unwrap();
        assert_eq!(query.title.as_deref(), Some("w1 w2 w3"));
        assert_eq!(of_song(&about(&"x".repeat(300))), None);
        assert_eq!(of_song(&About { duration_ms: None, ..about("Jóga") }), None);
    }
}
