//! A search as names and texts: the query string of `GET /search`.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    DEFAULT_LIMIT, Group, InvalidQuery, MAX_CURSOR_BYTES, MAX_LIMIT, MAX_QUERY_BYTES, MAX_QUERY_FORMATS, Query, Sort,
};
use crate::claim::Format;

/// The parameters of a search, not yet checked. What is left out has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
pub struct SearchParams {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub album: Option<String>,
    /// Names with commas between: `flac,mp3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_bitrate_kbps: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bitrate_kbps: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_sample_rate_hz: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration_ms: Option<u64>,
    /// In bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_size: Option<u64>,
    /// In bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
    /// Root and length of the audio, written like a file id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facets: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offline: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "flag")]
    pub explain: Option<bool>,
}

impl SearchParams {
    /// The query that the parameters ask for.
    pub fn parse(self) -> Result<Query, InvalidQuery> {
        let texts = [&self.q, &self.title, &self.artist, &self.album];
        if texts.into_iter().flatten().map(String::len).sum::<usize>() > MAX_QUERY_BYTES {
            return Err(InvalidQuery::TooLong);
        }
        in_order("bit rate", self.min_bitrate_kbps, self.max_bitrate_kbps)?;
        in_order("duration", self.min_duration_ms, self.max_duration_ms)?;
        in_order("size", self.min_size, self.max_size)?;
        let query = Query {
            text: self.q.unwrap_or_default(),
            title: self.title.filter(|text| !text.is_empty()),
            artist: self.artist.filter(|text| !text.is_empty()),
            album: self.album.filter(|text| !text.is_empty()),
            formats: formats(self.format.as_deref().unwrap_or_default())?,
            min_bitrate_kbps: self.min_bitrate_kbps,
            max_bitrate_kbps: self.max_bitrate_kbps,
            min_sample_rate_hz: self.min_sample_rate_hz,
            min_duration_ms: self.min_duration_ms,
            max_duration_ms: self.max_duration_ms,
            min_size_bytes: self.min_size,
            max_size_bytes: self.max_size,
            audio: self.audio.map(|audio| audio.parse()).transpose().map_err(|_| InvalidQuery::Audio)?,
            peer: self.peer.map(|peer| peer.parse()).transpose().map_err(|_| InvalidQuery::Peer)?,
            group: self.group.map(|group| group.parse()).transpose()?.unwrap_or_default(),
            sort: self.sort.map(|sort| sort.parse()).transpose()?.unwrap_or_default(),
            limit: self.limit.map_or(Ok(DEFAULT_LIMIT), limit)?,
            cursor: self.cursor.map(cursor).transpose()?,
            offline: self.offline.unwrap_or_default(),
            facets: self.facets.unwrap_or_default(),
            explain: self.explain.unwrap_or_default(),
        };
        query.check_terms()?;
        Ok(query)
    }
}

impl Query {
    /// The parameters that ask for this query; defaults are left out.
    pub fn to_params(&self) -> SearchParams {
        SearchParams {
            q: Some(self.text.clone()).filter(|text| !text.is_empty()),
            title: self.title.clone(),
            artist: self.artist.clone(),
            album: self.album.clone(),
            format: Some(self.formats.iter().map(Format::as_str).collect::<Vec<_>>().join(","))
                .filter(|formats| !formats.is_empty()),
            min_bitrate_kbps: self.min_bitrate_kbps,
            max_bitrate_kbps: self.max_bitrate_kbps,
            min_sample_rate_hz: self.min_sample_rate_hz,
            min_duration_ms: self.min_duration_ms,
            max_duration_ms: self.max_duration_ms,
            min_size: self.min_size_bytes,
            max_size: self.max_size_bytes,
            audio: self.audio.map(|audio| audio.to_string()),
            peer: self.peer.map(|peer| peer.to_string()),
            group: Some(self.group).filter(|group| *group != Group::default()).map(|group| group.as_str().to_owned()),
            sort: Some(self.sort).filter(|sort| *sort != Sort::default()).map(|sort| sort.as_str().to_owned()),
            limit: Some(self.limit).filter(|limit| *limit != DEFAULT_LIMIT).map(u32::from),
            cursor: self.cursor.clone(),
            facets: Some(self.facets).filter(|facets| *facets),
            offline: Some(self.offline).filter(|offline| *offline),
            explain: Some(self.explain).filter(|explain| *explain),
        }
    }

    /// A search must ask for something, in a bounded number of words.
    fn check_terms(&self) -> Result<(), InvalidQuery> {
        let terms = self.terms();
        if terms.spaced_count() > super::MAX_QUERY_TERMS {
            return Err(InvalidQuery::TooManyTerms);
        }
        if terms.is_empty() && !self.has_filter() {
            return Err(InvalidQuery::Empty);
        }
        Ok(())
    }
}

/// `1` is what people type into a URL by hand.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    struct Flag;

    impl Visitor<'_> for Flag {
        type Value = bool;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("true, false, 1 or 0")
        }

        fn visit_bool<E: de::Error>(self, flag: bool) -> Result<bool, E> {
            Ok(flag)
        }

        fn visit_str<E: de::Error>(self, flag: &str) -> Result<bool, E> {
            match flag {
                "1" | "true" => Ok(true),
                "0" | "false" => Ok(false),
                _ => Err(E::invalid_value(de::Unexpected::Str(flag), &self)),
            }
        }
    }

    deserializer.deserialize_any(Flag).map(Some)
}

fn in_order<T: PartialOrd>(what: &'static str, least: Option<T>, greatest: Option<T>) -> Result<(), InvalidQuery> {
    match (least, greatest) {
        (Some(least), Some(greatest)) if least > greatest => Err(InvalidQuery::EmptyRange(what)),
        _ => Ok(()),
    }
}

/// Each once, whatever their case; a comma too many does no harm.
fn formats(list: &str) -> Result<Vec<Format>, InvalidQuery> {
    let mut formats = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let format = Format::new(name).map_err(|_| InvalidQuery::Format)?;
        if !formats.contains(&format) {
            formats.push(format);
        }
        if formats.len() > MAX_QUERY_FORMATS {
            return Err(InvalidQuery::Format);
        }
    }
    Ok(formats)
}

fn limit(limit: u32) -> Result<u16, InvalidQuery> {
    u16::try_from(limit).ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or(InvalidQuery::Limit)
}

fn cursor(cursor: String) -> Result<String, InvalidQuery> {
    let plain = cursor.bytes().all(|byte| byte.is_ascii_graphic());
    if plain && (1..=MAX_CURSOR_BYTES).contains(&cursor.len()) { Ok(cursor) } else { Err(InvalidQuery::Cursor) }
}
