//! What a setting can hold. Every type reads the text that it writes, wherever the text came from.

use std::fmt;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A number within bounds that make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count<const LEAST: u32, const MOST: u32>(u32);

impl<const LEAST: u32, const MOST: u32> Count<LEAST, MOST> {
    pub const fn value(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32, const MOST: u32> FromStr for Count<LEAST, MOST> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) if (LEAST..=MOST).contains(&number) => Ok(Self(number)),
            _ => Err(format!("a number from {LEAST} to {MOST} is wanted")),
        }
    }
}

impl<const LEAST: u32, const MOST: u32> fmt::Display for Count<LEAST, MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An absolute path; `~/` is the user's home. A relative one would mean another folder in each terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl FromStr for Folder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = match text.strip_prefix("~/") {
            Some(rest) => std::env::home_dir().unwrap_or_default().join(rest),
            None => PathBuf::from(text),
        };
        if path.is_absolute() {
            Ok(Self(path))
        } else {
            Err("an absolute path is wanted, or one that begins with ~/".into())
        }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// A value or, as the empty text, none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Optional<T>(pub Option<T>);

impl<T: FromStr> FromStr for Optional<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|value| Self(Some(value))) }
    }
}

impl<T: fmt::Display> fmt::Display for Optional<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |value| value.fmt(f))
    }
}

/// Host names or the like, with commas between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl FromStr for Names {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()))
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

macro_rules! choice {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal $(| $other:literal)*,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type {
            $($(#[$variant_doc])* $variant,)*
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text.to_ascii_lowercase().as_str() {
                    $($name $(| $other)* => Ok(Self::$variant),)*
                    _ => Err(["one of these is wanted:" $(, $name)*].join(" ")),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name,)* })
            }
        }
    };
}

choice! {
    Switch {
        On = "yes" | "true" | "on" | "1",
        Off = "no" | "false" | "off" | "0",
    }
}

impl Switch {
    pub const fn is_on(self) -> bool {
        matches!(self, Self::On)
    }
}

choice! {
    /// Whether finished downloads are shared on.
    ShareDownloads {
        /// Not before the user has said so.
        Ask = "ask",
        Yes = "yes" | "true",
        No = "no" | "false",
    }
}

choice! {
    /// How a sender finds out what a path carries.
    Congestion {
        /// By losses that mean something.
        Discerning = "discerning",
        /// By every loss (RFC 9438).
        Cubic = "cubic",
        /// By the rate at which packets arrive.
        Bbr = "bbr",
    }
}

/// Bytes per second, or as fast as it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    Unlimited,
    BytesPerSecond(NonZeroU64),
}

impl FromStr for Rate {
    type Err = String;

    /// `500K`, `2 MB/s`, `1048576`, `unlimited` or `max`; the units are powers of 1024, as file managers count.
    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "a rate like 500K, 2M (bytes per second) or unlimited is wanted".to_owned();
        let text = text.trim().to_ascii_lowercase();
        if text == "unlimited" || text == "max" {
            return Ok(Self::Unlimited);
        }
        let text = text.strip_suffix("/s").unwrap_or(&text);
        let text = text.strip_suffix('b').unwrap_or(text);
        let text = text.strip_suffix('i').unwrap_or(text);
        let (number, shift) = match text.char_indices().last() {
            Some((at, 'k')) => (&text[..at], 10),
            Some((at, 'm')) => (&text[..at], 20),
            Some((at, 'g')) => (&text[..at], 30),
            _ => (text, 0),
        };
        let number: u64 = number.trim().parse().map_err(|_| wanted())?;
        number.checked_mul(1 << shift).and_then(NonZeroU64::new).map(Self::BytesPerSecond).ok_or_else(wanted)
    }
}

impl Rate {
    /// `None` is as fast as the line goes.
    pub fn bytes_per_second(self) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::BytesPerSecond(rate) => Some(rate.get()),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::BytesPerSecond(rate) => match rate.trailing_zeros() {
                30.. => write!(f, "{}G", rate.get() >> 30),
                20.. => write!(f, "{}M", rate.get() >> 20),
                10.. => write!(f, "{}K", rate.get() >> 10),
                _ => write!(f, "{rate}"),
            },
        }
    }
}

/// How fast others may fetch from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadRate {
    /// As fast as the line goes without delaying everything else on it.
    Auto,
    Fixed(Rate),
}

impl FromStr for UploadRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        text.parse()
            .map(Self::Fixed)
            .map_err(|_| "auto, unlimited or a rate like 500K (bytes per second) is wanted".into())
    }
}

impl fmt::Display for UploadRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(rate) => rate.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        let table = [
            ("500K", Some(500 << 10)),
            ("500 kb/s", Some(500 << 10)),
            ("2MiB/s", Some(2 << 20)),
            ("1g", Some(1 << 30)),
            ("1000", Some(1000)),
            ("0", None),
            ("-1", None),
            ("fast", None),
            ("", None),
            ("99999999999999G", None),
        ];
        for (text, bytes) in table {
            let rate = bytes.and_then(NonZeroU64::new).map(Rate::BytesPerSecond);
            assert_eq!(text.parse::<Rate>().ok(), rate, "{text}");
            if let Some(rate) = rate {
                assert_eq!(rate.to_string().parse(), Ok(rate));
            }
        }
        for none in ["Unlimited", "max"] {
            assert_eq!(none.parse(), Ok(Rate::Unlimited));
        }
        assert_eq!("auto".parse(), Ok(UploadRate::Auto));
        assert_eq!("unlimited".parse(), Ok(UploadRate::Fixed(Rate::Unlimited)));
    }

    #[test]
    fn what_is_out_of_bounds_says_the_bounds() {
        let refusal = "0".parse::<Count<1, 64>>().unwrap_err();
        assert_eq!(refusal, "a number from 1 to 64 is wanted");
        assert!("music".parse::<Folder>().is_err());
        assert_eq!("maybe".parse::<ShareDownloads>().unwrap_err(), "one of these is wanted: ask yes no");
    }
}
