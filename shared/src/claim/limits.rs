//! The bounds of a claim: checked in what strangers send, kept by what we send.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::fields::{self, InvalidClaim};
use super::{CLAIM_VERSION, Claim};
use crate::text::truncated;

/// Most bytes of a claim's canonical form. Typical ones have a tenth of it.
pub const MAX_CLAIM_BYTES: usize = 4096;

/// Most bytes of JSON that are read at all: the largest claim with every character of its texts escaped.
pub(super) const MAX_JSON_BYTES: usize = 6 * MAX_CLAIM_BYTES;

/// Most bytes of any text: room for a classical title with work, movement and performers. All texts of a claim at
/// their longest fit into [`MAX_CLAIM_BYTES`] together.
pub const MAX_TEXT_BYTES: usize = 512;

/// How deep members of later versions may be nested.
const MAX_EXTRA_DEPTH: usize = 4;

/// A song of half a year is no song; the bound keeps sums of a library far from overflow.
const DURATION_MS: RangeInclusive<u64> = 1..=180 * 24 * 3600 * 1000;
/// Zero is the hidden track before the first.
const TRACK: RangeInclusive<u32> = 0..=9_999;
const TOTAL: RangeInclusive<u32> = 1..=9_999;
const YEAR: RangeInclusive<u32> = 1..=9_999;
/// 32 channels of 32 bits at 768 kHz.
const BITRATE_KBPS: RangeInclusive<u32> = 1..=800_000;
/// DSD1024, the fastest clock in use.
const SAMPLE_RATE_HZ: RangeInclusive<u32> = 1..=49_152_000;
const BIT_DEPTH: RangeInclusive<u32> = 1..=64;
const CHANNELS: RangeInclusive<u32> = 1..=255;

/// The claim, if it keeps all bounds.
pub(super) fn checked(mut claim: Claim) -> Result<Claim, InvalidClaim> {
    if claim.version == 0 {
        return Err(InvalidClaim::OutOfRange("version"));
    }
    for (name, text) in texts(&mut claim) {
        if text.as_deref().is_some_and(|text| !is_good_text(text)) {
            return Err(InvalidClaim::BadText(name));
        }
    }
    if claim.file_name.as_deref().is_some_and(|name| name.contains('/')) {
        return Err(InvalidClaim::BadText("file_name"));
    }
    for (name, id) in musicbrainz_ids(&mut claim) {
        if id.as_deref().is_some_and(|id| !is_uuid(id)) {
            return Err(InvalidClaim::BadText(name));
        }
    }
    if claim.duration_ms.is_some_and(|duration| !DURATION_MS.contains(&duration)) {
        return Err(InvalidClaim::OutOfRange("duration_ms"));
    }
    for (name, number, range) in numbers(&mut claim) {
        if number.is_some_and(|number| !range.contains(&number)) {
            return Err(InvalidClaim::OutOfRange(name));
        }
    }
    if !claim.extra.iter().all(|(name, value)| is_one_line(name) && is_good_extra(value, 1)) {
        return Err(InvalidClaim::BadExtra);
    }
    if claim.to_canonical_json().len() > MAX_CLAIM_BYTES {
        return Err(InvalidClaim::TooLong);
    }
    Ok(claim)
}

/// The claim, with whatever breaks a bound cut or left out.
pub(super) fn clamped(mut claim: Claim) -> Claim {
    claim.version = claim.version.max(CLAIM_VERSION);
    if let Some(name) = &mut claim.file_name {
        *name = name.rsplit('/').next().unwrap_or_default().to_owned();
    }
    shorten(&mut claim, MAX_TEXT_BYTES);
    for (_, id) in musicbrainz_ids(&mut claim) {
        *id = id.take().map(|id| id.to_ascii_lowercase()).filter(|id| is_uuid(id));
    }
    claim.duration_ms = claim.duration_ms.filter(|duration| DURATION_MS.contains(duration));
    for (_, number, range) in numbers(&mut claim) {
        *number = number.filter(|number| range.contains(number));
    }
    claim
        .extra
        .retain(|name, value| !fields::NAMES.contains(&name.as_str()) && is_one_line(name) && is_good_extra(value, 1));

    if claim.to_canonical_json().len() > MAX_CLAIM_BYTES {
        claim.extra.clear();
    }
    if claim.to_canonical_json().len() > MAX_CLAIM_BYTES {
        // Only quotation marks and backslashes, which the canonical form doubles, lead here.
        shorten(&mut claim, MAX_TEXT_BYTES / 2);
    }
    claim
}

fn shorten(claim: &mut Claim, limit: usize) {
    for (_, text) in texts(claim) {
        *text = text.take().map(|text| one_line(&text, limit)).filter(|text| !text.is_empty());
    }
}

fn one_line(text: &str, limit: usize) -> String {
    let line: String = text.chars().map(|c| if breaks_line(c) { ' ' } else { c }).collect();
    truncated(line.trim(), limit).trim_end().to_owned()
}

fn is_good_text(text: &str) -> bool {
    text.len() <= MAX_TEXT_BYTES && !text.trim().is_empty() && is_one_line(text)
}

fn is_one_line(text: &str) -> bool {
    !text.contains(breaks_line)
}

fn breaks_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// 8-4-4-4-12 lower-case hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(position, byte)| match position {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

fn is_good_extra(value: &Value, depth: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::Number(number) => number.is_i64() || number.is_u64(),
        Value::String(text) => is_one_line(text),
        Value::Array(items) => depth < MAX_EXTRA_DEPTH && items.iter().all(|item| is_good_extra(item, depth + 1)),
        Value::Object(members) => {
            depth < MAX_EXTRA_DEPTH
                && members.iter().all(|(name, value)| is_one_line(name) && is_good_extra(value, depth + 1))
        }
    }
}

fn texts(claim: &mut Claim) -> [(&'static str, &mut Option<String>); 6] {
    [
        ("title", &mut claim.title),
        ("artist", &mut claim.artist),
        ("album", &mut claim.album),
        ("album_artist", &mut claim.album_artist),
        ("genre", &mut claim.genre),
        ("file_name", &mut claim.file_name),
    ]
}

fn musicbrainz_ids(claim: &mut Claim) -> [(&'static str, &mut Option<String>); 2] {
    [("mb_recording", &mut claim.mb_recording), ("mb_release", &mut claim.mb_release)]
}

fn numbers(claim: &mut Claim) -> [(&'static str, &mut Option<u32>, RangeInclusive<u32>); 9] {
    [
        ("track", &mut claim.track, TRACK),
        ("track_total", &mut claim.track_total, TOTAL),
        ("disc", &mut claim.disc, TRACK),
        ("disc_total", &mut claim.disc_total, TOTAL),
        ("year", &mut claim.year, YEAR),
        ("bitrate_kbps", &mut claim.bitrate_kbps, BITRATE_KBPS),
        ("sample_rate_hz", &mut claim.sample_rate_hz, SAMPLE_RATE_HZ),
        ("bit_depth", &mut claim.bit_depth, BIT_DEPTH),
        ("channels", &mut claim.channels, CHANNELS),
    ]
}
