//! Searches within their limits.

use choir_shared::claim::Claim;
use choir_shared::leaf::FileLength;
use choir_shared::query::{
    Document, MAX_CURSOR_BYTES, MAX_LIMIT, MAX_QUERY_BYTES, MAX_QUERY_FORMATS, MAX_QUERY_TERMS, Query, SearchParams,
};
use choir_shared::{Digest, FileId};

/// The parameters of a search as JSON, which has the same names as the query string.
pub fn query(json: &[u8]) {
    let Ok(params) = serde_json::from_slice::<SearchParams>(json) else { return };
    let Ok(query) = params.parse() else { return };
    assert_eq!(query.to_params().parse().as_ref(), Ok(&query));

    let texts = [Some(&query.text), query.title.as_ref(), query.artist.as_ref(), query.album.as_ref()];
    assert!(texts.into_iter().flatten().map(String::len).sum::<usize>() <= MAX_QUERY_BYTES);
    assert!(query.terms().len() <= MAX_QUERY_TERMS);
    assert!(query.formats.len() <= MAX_QUERY_FORMATS);
    assert!((1..=MAX_LIMIT).contains(&query.limit));
    assert!(query.cursor.as_ref().is_none_or(|cursor| cursor.len() <= MAX_CURSOR_BYTES));

    let described = described_by(&query);
    let document = Document { claim: &described, file: FileId::new(Digest::ZERO, FileLength::new(1).expect("a byte")) };
    assert!(query.terms().matches(&document.tokens()), "{:?} does not find {:?}", query.terms(), document.tokens());
    let _ = query.matches(&document);
}

/// A song that has every word in its place.
fn described_by(query: &Query) -> Claim {
    let title = [query.title.as_deref().unwrap_or_default(), &query.text].join(" ");
    Claim { title: Some(title), artist: query.artist.clone(), album: query.album.clone(), ..Claim::default() }
}
