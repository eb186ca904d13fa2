//! Where an index is: scheme, host and port, and nothing else.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use choir_shared::address::Scope;
use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Where an index listens unless told otherwise.
const DEFAULT_PORT: u16 = 8888;

/// The root of an index's HTTP API. Text form: `https://host:port`, the port always there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexUrl {
    tls: Tls,
    /// Without brackets, in lower case.
    host: String,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Tls {
    Https,
    Plain,
}

impl IndexUrl {
    /// What a person may have meant, likeliest first: a URL as it stands; a bare `host` or `host:port` over HTTPS,
    /// or on this machine over either, because an index on loopback needs no encryption.
    pub fn guesses(text: &str) -> Result<Vec<Self>, InvalidUrl> {
        let text = text.trim();
        if text.contains("://") {
            return Ok(vec![text.parse()?]);
        }
        let has_port = text
            .rsplit_once(':')
            .is_some_and(|(host, port)| port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']')));
        let authority = if has_port { text.to_owned() } else { format!("{text}:{DEFAULT_PORT}") };
        let https: Self = format!("https://{authority}").parse()?;
        if https.is_loopback() {
            return Ok(vec![Self { tls: Tls::Plain, ..https.clone() }, https]);
        }
        Ok(vec![https])
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    pub fn is_encrypted(&self) -> bool {
        self.tls == Tls::Https
    }

    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|address: IpAddr| Scope::of(address) == Scope::Loopback)
    }

    /// The address of `path`, which begins with a slash.
    pub fn http(&self, path: &str) -> String {
        format!("{self}{path}")
    }

    /// The same for a WebSocket.
    pub fn websocket(&self, path: &str) -> String {
        let scheme = if self.is_encrypted() { "wss" } else { "ws" };
        format!("{scheme}://{}{path}", self.authority())
    }

    /// `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for IndexUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted() { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

impl fmt::Debug for IndexUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IndexUrl({self})")
    }
}

impl FromStr for IndexUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let url = Url::parse(text.trim()).map_err(|_| InvalidUrl::NotAUrl)?;
        let tls = match url.scheme() {
            "https" => Tls::Https,
            "http" => Tls::Plain,
            _ => return Err(InvalidUrl::Scheme),
        };
        let bare =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if !bare || url.path() != "/" {
            return Err(InvalidUrl::More);
        }
        let host = url.host_str().ok_or(InvalidUrl::NotAUrl)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { tls, host, port: url.port_or_known_default().filter(|port| *port != 0).ok_or(InvalidUrl::NotAUrl)? })
    }
}

impl Serialize for IndexUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IndexUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Why a text is not the address of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    #[error("the address of an index looks like https://music.example:8888")]
    NotAUrl,
    #[error("an index speaks https or http")]
    Scheme,
    #[error("the address of an index ends after the port")]
    More,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_form_only() {
        let table = [
            ("http://127.0.0.1:8888", Ok("http://127.0.0.1:8888")),
            ("HTTPS://Music.Example/", Ok("https://music.example:443")),
            ("http://[::1]:80", Ok("http://[::1]:80")),
            ("ftp://music.example", Err(InvalidUrl::Scheme)),
            ("https://ann@music.example", Err(InvalidUrl::More)),
            ("https://music.example/choir", Err(InvalidUrl::More)),
            ("https://music.example/?a", Err(InvalidUrl::More)),
            ("music.example:8888", Err(InvalidUrl::Scheme)),
            ("https://", Err(InvalidUrl::NotAUrl)),
        ];
        for (text, result) in table {
            assert_eq!(text.parse::<IndexUrl>().map(|url| url.to_string()), result.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_asked_without_encryption() {
        let table = [
            ("music.example", vec!["https://music.example:8888"]),
            ("music.example:443", vec!["https://music.example:443"]),
            ("[2a00::1]", vec!["https://[2a00::1]:8888"]),
            ("127.0.0.1:9", vec!["http://127.0.0.1:9", "https://127.0.0.1:9"]),
            ("localhost", vec!["http://localhost:8888", "https://localhost:8888"]),
            ("[::1]:9", vec!["http://[::1]:9", "https://[::1]:9"]),
            ("http://music.example:9", vec!["http://music.example:9"]),
        ];
        for (text, urls) in table {
            let guesses = IndexUrl::guesses(text).unwrap();
            assert_eq!(guesses.iter().map(ToString::to_string).collect::<Vec<_>>(), urls, "{text}");
        }
        assert_eq!("https://[2a00::1]:9".parse::<IndexUrl>().unwrap().websocket("/x"), "wss://[2a00::1]:9/x");
    }
}
