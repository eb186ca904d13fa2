//! Sizes, rates and lengths as people write and read them. Units are powers of 1024, as file managers count.

use std::str::FromStr as _;

use crate::config::{Rate, UploadRate};

/// A number of bytes that somebody typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

/// A length in milliseconds that somebody typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length(pub u64);

/// `10M`, `500 KB`, `1024`.
pub(super) fn parse_bytes(text: &str) -> Result<Bytes, String> {
    match Rate::from_str(text) {
        Ok(Rate::BytesPerSecond(bytes)) if !text.contains('/') => Ok(Bytes(bytes.get())),
        _ => Err("a size like 500K or 10M is wanted".to_owned()),
    }
}

/// `500K`, `2M`, `auto`, and `off` or `unlimited`.
pub(super) fn parse_rate(text: &str) -> Result<UploadRate, String> {
    if text.trim().eq_ignore_ascii_case("off") {
        return Ok(UploadRate::Fixed(Rate::Unlimited));
    }
    text.parse().map_err(|_| "a rate like 500K or 2M (bytes per second), off or auto is wanted".to_owned())
}

/// `500K`, `2M`, and `off` or `unlimited`.
pub(super) fn parse_download_rate(text: &str) -> Result<Rate, String> {
    if text.trim().eq_ignore_ascii_case("off") {
        return Ok(Rate::Unlimited);
    }
    text.parse().map_err(|_| "a rate like 500K or 2M (bytes per second) or off is wanted".to_owned())
}

/// `3:45`, `1:02:03`, or seconds.
pub(super) fn parse_length(text: &str) -> Result<Length, String> {
    let wanted = || "a length like 3:45, or a number of seconds, is wanted".to_owned();
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 3 {
        return Err(wanted());
    }
    let mut seconds: u64 = 0;
    for (position, part) in parts.iter().enumerate() {
        let number: u64 = part.parse().map_err(|_| wanted())?;
        if position > 0 && (number >= 60 || part.len() != 2) {
            return Err(wanted());
        }
        seconds = seconds.checked_mul(60).and_then(|seconds| seconds.checked_add(number)).ok_or_else(wanted)?;
    }
    seconds.checked_mul(1000).map(Length).ok_or_else(wanted)
}

/// `31.2 MiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut scaled = bytes as f64 / 1024.0;
    let mut unit = 0;
    // What would be printed as 1024.0 is one of the next unit.
    while scaled >= 1023.95 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS.get(unit).copied().unwrap_or_default())
}

/// `3:45`, `1:02:03`.
pub(super) fn length(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// `1 file`, `3 files`.
pub(super) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_rates_are_read_as_people_write_them() {
        let sizes = [
            ("10M", Some(10 << 20)),
            ("500 kb", Some(500 << 10)),
            ("7", Some(7)),
            ("unlimited", None),
            ("2M/s", None),
            ("0", None),
            ("x", None),
        ];
        for (text, bytes) in sizes {
            assert_eq!(parse_bytes(text).ok(), bytes.map(Bytes), "{text}");
        }
        let rates = [
            ("2M", Some("2M")),
            ("500k", Some("500K")),
            ("off", Some("unlimited")),
            ("auto", Some("auto")),
            ("0", None),
            ("fast", None),
        ];
        for (text, rate) in rates {
            assert_eq!(parse_rate(text).ok().map(|rate| rate.to_string()).as_deref(), rate, "{text}");
        }
    }

    #[test]
    fn lengths_are_read_and_written() {
        let table = [
            ("0", Some(0)),
            ("225", Some(225)),
            ("3:45", Some(225)),
            ("1:02:03", Some(3723)),
            ("3:5", None),
            ("3:60", None),
            ("", None),
            (":", None),
            ("-1", None),
            ("1:00:00:00", None),
            ("99999999999999999", None),
        ];
        for (text, seconds) in table {
            assert_eq!(parse_length(text).ok(), seconds.map(|seconds| Length(seconds * 1000)), "{text}");
        }
        assert_eq!(
            (length(225_400).as_str(), length(3_723_000).as_str(), length(0).as_str()),
            ("3:45", "1:02:03", "0:00")
        );
    }

    #[test]
    fn sizes_are_written_with_one_decimal() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (32_715_571, "31.2 MiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in table {
            assert_eq!(size(bytes), text);
        }
        assert_eq!((count(1, "file"), count(0, "file")), ("1 file".into(), "0 files".into()));
    }
}
