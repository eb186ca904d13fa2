//! Where a page ended, as text in a URL.
//!
//! The index keeps nothing between two pages. The cursor holds the place of the last row, and the next page begins
//! with what is behind that place. It is bound to its query by a checksum: with another query, or a character lost on
//! the way, it would silently show the wrong rows. Nobody gains anything by forging one, so the checksum has no key.

use std::cmp::Reverse;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use choir_shared::query::{Query, Sort};
use sha2::{Digest as _, Sha256};

use super::ranking::{Exact, Place, Points, Rank, Scored};
use crate::store::FileNo;

const CHECKSUM_BYTES: usize = 8;

/// Texts are compared by this many bytes at most, so that a cursor fits
/// [`MAX_CURSOR_BYTES`](choir_shared::query::MAX_CURSOR_BYTES).
pub(super) const MAX_TEXT_KEY_BYTES: usize = 256;

pub(super) fn encode(query: &Query, place: &Place) -> String {
    let mut bytes = vec![0; CHECKSUM_BYTES];
    let (kind, no) = match place {
        Place::Tail(scored) => (b't', scored.no),
        Place::Head(rank) => (b'h', rank.no),
        Place::Number(None, no) => (b'n', *no),
        Place::Number(Some(_), no) => (b'N', *no),
        Place::Text(None, no) => (b's', *no),
        Place::Text(Some(_), no) => (b'S', *no),
    };
    bytes.push(kind);
    bytes.extend_from_slice(&no.0.0.to_le_bytes());
    match place {
        Place::Tail(scored) => bytes.extend_from_slice(&scored.points.0.to_le_bytes()),
        Place::Head(rank) => {
            bytes.extend_from_slice(&rank.points.0.to_le_bytes());
            bytes.extend_from_slice(&rank.sources.to_le_bytes());
            bytes.push(rank.exact as u8);
        }
        Place::Number(number, _) => bytes.extend(number.iter().flat_map(|number| number.to_le_bytes())),
        Place::Text(text, _) => bytes.extend(text.iter().flat_map(|text| text.0.bytes())),
    }
    let checksum = checksum(query, bytes.get(CHECKSUM_BYTES..).unwrap_or_default());
    bytes.splice(..CHECKSUM_BYTES, checksum);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place that `cursor` names, if it was made for this query.
pub(super) fn decode(query: &Query, cursor: &str) -> Option<Place> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (told, body) = bytes.split_first_chunk::<CHECKSUM_BYTES>()?;
    if *told != checksum(query, body) {
        return None;
    }
    let (&kind, rest) = body.split_first()?;
    let (no, rest) = split_u32(rest)?;
    let no = Reverse(FileNo(no));
    let place = match kind {
        b't' => Place::Tail(Scored { points: Points(u32::from_le_bytes(rest.try_into().ok()?)), no }),
        b'h' => {
            let (points, rest) = split_u32(rest)?;
            let (sources, rest) = split_u32(rest)?;
            let exact = match rest {
                [0] => Exact::Nothing,
                [1] => Exact::Artist,
                [2] => Exact::Title,
                [3] => Exact::ArtistAndTitle,
                _ => return None,
            };
            Place::Head(Rank { exact, points: Points(points), sources, no })
        }
        b'n' if rest.is_empty() => Place::Number(None, no),
        b'N' => Place::Number(Some(u64::from_le_bytes(rest.try_into().ok()?)), no),
        b's' if rest.is_empty() => Place::Text(None, no),
        b'S' => Place::Text(Some(Reverse(String::from_utf8(rest.to_vec()).ok()?)), no),
        _ => return None,
    };
    belongs(query, &place).then_some(place)
}

/// Whether rows of this query have places of this kind.
fn belongs(query: &Query, place: &Place) -> bool {
    match place {
        Place::Tail(_) | Place::Head(_) => query.sort == Sort::Relevance,
        Place::Number(..) => matches!(query.sort, Sort::Size | Sort::Bitrate | Sort::Duration | Sort::Sources),
        Place::Text(..) => matches!(query.sort, Sort::Title | Sort::Artist),
    }
}

/// Over the place and everything that decides which rows there are; the length of a page does not.
fn checksum(query: &Query, body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut params = query.to_params();
    (params.cursor, params.limit, params.facets, params.explain) = (None, None, None, None);
    let params = serde_json::to_vec(&params).unwrap_or_default();
    let hash: [u8; 32] = Sha256::new().chain_update(params).chain_update([0]).chain_update(body).finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    [a, b, c, d, e, f, g, h]
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (u32::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use choir_shared::query::{MAX_CURSOR_BYTES, SearchParams};
    use proptest::prelude::*;

    use super::*;

    fn query(q: &str, sort: Sort) -> Query {
        let params =
            SearchParams { q: Some(q.to_owned()), sort: Some(sort.as_str().to_owned()), ..SearchParams::default() };
        params.parse().unwrap()
    }

    fn places() -> impl Strategy<Value = (Sort, Place)> {
        let no = any::<u32>().prop_map(|no| Reverse(FileNo(no)));
        let exact =
            prop_oneof![Just(Exact::Nothing), Just(Exact::Artist), Just(Exact::Title), Just(Exact::ArtistAndTitle)];
        let text = proptest::option::of("\\PC{0,64}".prop_map(Reverse));
        prop_oneof![
            (any::<u32>(), no.clone())
                .prop_map(|(points, no)| (Sort::Relevance, Place::Tail(Scored { points: Points(points), no }))),
            (exact, any::<u32>(), any::<u32>(), no.clone()).prop_map(|(exact, points, sources, no)| {
                (Sort::Relevance, Place::Head(Rank { exact, points: Points(points), sources, no }))
            }),
            (any::<Option<u64>>(), no.clone()).prop_map(|(number, no)| (Sort::Size, Place::Number(number, no))),
            (text, no).prop_map(|(text, no)| (Sort::Title, Place::Text(text, no))),
        ]
    }

    proptest! {
        #[test]
        fn a_place_survives_its_cursor_and_fits_no_other_query((sort, place) in places()) {
            let cursor = encode(&query("a", sort), &place);
            prop_assert!(cursor.len() <= MAX_CURSOR_BYTES);
            prop_assert_eq!(decode(&query("a", sort), &cursor), Some(place));
            prop_assert_eq!(decode(&query("b", sort), &cursor), None);
            prop_assert_eq!(decode(&query("a", Sort::Artist), &cursor), None);
        }

        #[test]
        fn a_forged_cursor_is_a_place_like_any_other_or_none(body: Vec<u8>, kind in "[thnNsS]", sort in 0..Sort::ALL.len()) {
            let query = query("a", Sort::ALL[sort]);
            let body = [kind.as_bytes(), &body].concat();
            let cursor = URL_SAFE_NO_PAD.encode([&checksum(&query, &body)[..], &body].concat());
            if let Some(place) = decode(&query, &cursor) {
                prop_assert_eq!(encode(&query, &place), cursor);
            }
        }

        #[test]
        fn junk_is_no_cursor(cursor: String) {
            prop_assert_eq!(decode(&query("a", Sort::Relevance), &cursor), None);
        }
    }
}
