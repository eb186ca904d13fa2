//! `choir:` links, which people paste into chats.
//!
//! `choir:file/<file id>?name=<name>` names a file; `choir:join/<host:port>?key=<index key>&invite=<code>` an index.
//! The forms `album/`, `list/` and `peer/` are reserved. A `+` stands for itself; everything but letters, digits
//! and `-._~` is percent-encoded, so that chat programs do not cut a link short.

use std::fmt;
use std::str::FromStr;

use crate::file_id::FileId;
use crate::identity::IndexKey;

/// The longest link, as it was given and as we would write it: names are at most a few hundred bytes, tripled by
/// encoding.
const MAX_LINK_BYTES: usize = 2048;

/// A parsed link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    File { file: FileId, name: Option<String> },
    Join(JoinLink),
}

/// All that a new member needs to know of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinLink {
    /// Host and port, as in a URL.
    pub authority: String,
    /// Pins the index: nobody else can pass for it.
    pub key: Option<IndexKey>,
    pub invite: Option<String>,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, name } => {
                write!(f, "choir:file/{file}")?;
                write_parameters(f, &[("name", name.clone())])
            }
            Self::Join(join) => join.fmt(f),
        }
    }
}

impl fmt::Display for JoinLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "choir:join/{}", self.authority)?;
        write_parameters(f, &[("key", self.key.map(|key| key.to_string())), ("invite", self.invite.clone())])
    }
}

impl FromStr for Link {
    type Err = InvalidLink;

    fn from_str(text: &str) -> Result<Self, InvalidLink> {
        if text.len() > MAX_LINK_BYTES {
            return Err(InvalidLink::TooLong);
        }
        let link: Self = read(text)?;
        // What was given without encoding may become three times as long, and then nobody could read what we write.
        if link.to_string().len() > MAX_LINK_BYTES {
            return Err(InvalidLink::TooLong);
        }
        Ok(link)
    }
}

fn read(text: &str) -> Result<Link, InvalidLink> {
    let link = text.trim().strip_prefix("choir:").ok_or(InvalidLink::NotALink)?;
    let (path, parameters) = link.split_once('?').unwrap_or((link, ""));
    let parameter = |name: &str| {
        parameters
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| decode(value).ok_or(InvalidLink::Encoding))
            .transpose()
    };
    match path.split_once('/').ok_or(InvalidLink::NotALink)? {
        ("file", file) => {
            Ok(Link::File { file: file.parse().map_err(|_| InvalidLink::FileId)?, name: parameter("name")? })
        }
        ("join", authority) => Ok(Link::Join(JoinLink {
            authority: checked_authority(authority)?,
            key: parameter("key")?.map(|key| key.parse()).transpose().map_err(|_| InvalidLink::Key)?,
            invite: parameter("invite")?.filter(|invite| !invite.is_empty()),
        })),
        ("album" | "list" | "peer", _) => Err(InvalidLink::Later),
        _ => Err(InvalidLink::NotALink),
    }
}

/// A host, a colon and a port, and nothing that would make a URL mean something else (user info, path, fragment).
fn checked_authority(authority: &str) -> Result<String, InvalidLink> {
    let (host, port) = authority.rsplit_once(':').ok_or(InvalidLink::Host)?;
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_is_sound = match bracketed {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        }
    };
    let port_is_sound =
        port.parse::<u16>().is_ok_and(|port| port != 0) && port.bytes().all(|byte| byte.is_ascii_digit());
    if host_is_sound && port_is_sound { Ok(authority.to_owned()) } else { Err(InvalidLink::Host) }
}

/// Why a text is not a link that this version can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLink {
    #[error("a link begins with choir:file/ or choir:join/")]
    NotALink,
    #[error("links of this kind need a later version of choir")]
    Later,
    #[error("the link is too long")]
    TooLong,
    #[error("the link's file id is wrong or cut short")]
    FileId,
    #[error("the link's key is wrong or cut short")]
    Key,
    #[error("the link names no host and port")]
    Host,
    #[error("the link has a broken %-sequence")]
    Encoding,
}

fn write_parameters(f: &mut fmt::Formatter<'_>, parameters: &[(&str, Option<String>)]) -> fmt::Result {
    let given = parameters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    for (number, (name, value)) in given.enumerate() {
        let separator = if number == 0 { '?' } else { '&' };
        write!(f, "{separator}{name}={}", encode(value))?;
    }
    Ok(())
}

/// RFC 3986 section 2.1: all but the unreserved characters. Also serves the paths and queries of our own URLs.
pub fn encode(text: &str) -> String {
    use fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Undoes [`encode`]; `None` for broken sequences and for bytes that are not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
            decoded.push((high << 4 | low) as u8);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::SecretKey;

    #[test]
    fn links_survive_their_text() {
        let file = format!("{}-3", "ab".repeat(32)).parse().unwrap();
        let key = Some(SecretKey::from_seed(&[1; 32]).index_key());
        let links = [
            Link::File { file, name: Some("Für Elise & more? 100%.flac".into()) },
            Link::File { file, name: None },
            Link::Join(JoinLink { authority: "music.example:8888".into(), key, invite: Some("k7-x".into()) }),
            Link::Join(JoinLink { authority: "[::1]:8888".into(), key: None, invite: None }),
        ];
        for link in links {
            assert_eq!(link.to_string().parse(), Ok(link));
        }
    }

    #[test]
    fn a_link_that_is_too_long_to_be_passed_on_is_refused() {
        let named = |name: &str| format!("choir:file/{}-3?name={name}", "ab".repeat(32)).parse::<Link>();
        assert!(named(&"ö".repeat(300)).is_ok());
        assert_eq!(named(&"ö".repeat(400)), Err(InvalidLink::TooLong));
        assert_eq!(named(&"x".repeat(2000)), Err(InvalidLink::TooLong));
    }

    #[test]
    fn what_is_wrong_with_a_link_is_said() {
        let table = [
            ("http://example.org", InvalidLink::NotALink),
            ("choir:join", InvalidLink::NotALink),
            ("choir:album/abc", InvalidLink::Later),
            ("choir:file/abc", InvalidLink::FileId),
            ("choir:join/example.org", InvalidLink::Host),
            ("choir:join/user@example.org:80", InvalidLink::Host),
            ("choir:join/a/b:80", InvalidLink::Host),
            ("choir:join/example.org:0", InvalidLink::Host),
            ("choir:join/[::1:80", InvalidLink::Host),
            ("choir:join/example.org:80?key=abc", InvalidLink::Key),
            ("choir:join/example.org:80?invite=%z", InvalidLink::Encoding),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<Link>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_name_survives(name: String) {
            prop_assert_eq!(decode(&encode(&name)), Some(name));
        }

        #[test]
        fn junk_never_panics(text in "choir:(file|join)/.{0,80}") {
            let _ = text.parse::<Link>();
        }
    }
}
