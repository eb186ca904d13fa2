//! The texts that name things: files, keys, indexes, people.

use std::fmt::{Debug, Display};
use std::path::{Component, Path};
use std::str::FromStr;

use choir_index::store::{BanTarget, DisplayName};
use choir_peer::index_client::IndexUrl;
use choir_shared::identity::{IndexKey, Signature};
use choir_shared::index_api::people::MAX_NAME_CHARS;
use choir_shared::link::{self as links, Link};
use choir_shared::safe_name::MAX_NAME_BYTES;
use choir_shared::text::is_invisible;
use choir_shared::{Digest, FileId, PeerId, SafeName, base32};

use super::utf8;

/// The text of a file id: one for each file.
pub fn file_id(text: &[u8]) {
    let Some(text) = utf8(text) else { return };
    is_its_only_text::<FileId>(text);
    is_its_only_text::<Digest>(text);
    if let Ok(id) = text.parse::<FileId>() {
        let other = text.to_ascii_uppercase();
        assert!(other == text || other.parse::<FileId>().is_err());
        assert_eq!(serde_json::to_string(&id).expect("an id can be written"), format!("\"{text}\""));
    }
}

/// Keys as text, as the bytes that TLS carries, and in JSON; signatures; and whom a ban is about.
pub fn keys(bytes: &[u8]) {
    if let Ok(peer) = PeerId::from_spki_der(bytes) {
        assert_eq!(peer.to_spki_der(), bytes);
        assert_eq!(peer.to_string().parse(), Ok(peer));
    }
    let Some(text) = utf8(bytes) else { return };
    is_its_only_text::<PeerId>(text);
    is_its_only_text::<IndexKey>(text);
    if let Some(key) = base32::decode(text) {
        assert_eq!(base32::encode(&key), text);
    }
    if let Ok(signature) = serde_json::from_str::<Signature>(text) {
        let written = serde_json::to_string(&signature).expect("a signature can be written");
        assert_eq!((written.len(), serde_json::from_str(&written).ok()), (130, Some(signature)));
    }
    if let Ok(target) = text.parse::<BanTarget>() {
        assert_eq!(target.to_string().parse(), Ok(target));
    }
}

/// A link from a chat, and any text as part of one.
pub fn link(text: &[u8]) {
    let Some(text) = utf8(text) else { return };
    assert_eq!(links::decode(&links::encode(text)).as_deref(), Some(text));
    survives_its_text::<Link>(text);
}

/// The address of an index, as a person or a link has it.
pub fn index_url(text: &[u8]) {
    let Some(text) = utf8(text) else { return };
    survives_its_text::<IndexUrl>(text);
    for guess in IndexUrl::guesses(text).unwrap_or_default() {
        assert_eq!(guess.to_string().parse(), Ok(guess.clone()));
        assert_ne!(guess.port(), 0);
        assert!(guess.authority().ends_with(&format!(":{}", guess.port())));
    }
}

/// A name on the first line, and the one to fall back on after it.
pub fn safe_name(text: &[u8]) {
    let Some(text) = utf8(text) else { return };
    let (name, fallback) = text.rsplit_once('\n').unwrap_or((text, ""));
    let safe = SafeName::sanitise(name, fallback);
    if let Ok(as_it_stands) = SafeName::new(name) {
        assert_eq!(as_it_stands, safe, "a safe name is left as it is");
    }
    let number = text.len() as u32;
    for safe in [safe.numbered(number), safe.numbered(u32::MAX).numbered(u32::MAX), safe] {
        let text = safe.as_str();
        assert_eq!(SafeName::new(text).as_ref(), Ok(&safe), "{text:?}");
        assert_eq!(SafeName::sanitise(text, "x"), safe);
        assert!((1..=MAX_NAME_BYTES).contains(&text.len()));
        assert!(Path::new(text).components().eq([Component::Normal(text.as_ref())]), "{text:?}");
        assert!(!text.starts_with('.') && !text.ends_with(['.', ' ']), "{text:?}");
        assert!(!text.contains(['/', '\\', '<', '>', ':', '"', '|', '?', '*']) && !text.contains(is_invisible));
        assert_eq!(safe.extension().is_some(), safe.numbered(2).extension().is_some(), "{text:?}");
    }
}

/// A name that somebody wants to be shown by.
pub fn display_name(text: &[u8]) {
    let Some(name) = utf8(text).and_then(|text| DisplayName::new(text).ok()) else { return };
    assert_eq!(DisplayName::new(name.as_str()).as_ref(), Ok(&name));
    assert!((1..=MAX_NAME_CHARS).contains(&name.as_str().chars().count()));
    assert!(!name.as_str().contains(is_invisible) && name.as_str().trim() == name.as_str());
}

/// Nothing else names the same.
fn is_its_only_text<T: FromStr + Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}

/// Several texts may mean the same, but one is written, and means it too.
fn survives_its_text<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let written = value.to_string();
    match written.parse::<T>() {
        Ok(again) => assert_eq!((again.to_string(), again), (written, value)),
        Err(error) => panic!("{error:?} of {written:?}"),
    }
}
