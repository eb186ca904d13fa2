//! The JSON between peers and indexes: requests, answers, and the messages of the control connection.

use std::fmt::Debug;

use choir_shared::control::{FromIndex, FromPeer};
use choir_shared::index_api::{
    Album, AlbumPage, Challenge, ChangeSet, ChangesAnswer, Info, Introduction, IntroductionRequest, LibraryPage,
    LoginRequest, Me, MeUpdate, Problem, Profile, SearchPage, SearchRow, Session, Sources,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The body of a request or an answer; whatever it can be taken for, it survives being written and read.
pub fn index_api(json: &[u8]) {
    survives::<Album>(json);
    survives::<AlbumPage>(json);
    survives::<ChangeSet>(json);
    survives::<ChangesAnswer>(json);
    survives::<Challenge>(json);
    survives::<Info>(json);
    survives::<Introduction>(json);
    survives::<IntroductionRequest>(json);
    survives::<LibraryPage>(json);
    survives::<LoginRequest>(json);
    survives::<Me>(json);
    survives::<MeUpdate>(json);
    survives::<Problem>(json);
    survives::<Profile>(json);
    survives::<SearchPage>(json);
    survives::<SearchRow>(json);
    survives::<Session>(json);
    survives::<Sources>(json);
}

/// One text message, of either side.
pub fn control(json: &[u8]) {
    survives::<FromIndex>(json);
    survives::<FromPeer>(json);
}

fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(json: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(json) else { return };
    let written = serde_json::to_vec(&value).expect("what was read can be written");
    let again = serde_json::from_slice::<T>(&written);
    assert_eq!(again.as_ref().ok(), Some(&value), "{again:?} of {}", String::from_utf8_lossy(&written));
    let twice = serde_json::to_vec(&again.expect("just compared")).expect("what was read can be written");
    assert_eq!(twice, written, "one text for one value");
}
