//! `GET /peers/{id}` and its library, folder by folder.

use axum::Json;
use axum::extract::State;
use choir_shared::PeerId;
use choir_shared::index_api::{ErrorCode, LibraryPage, Profile};
use serde::Deserialize;

use crate::auth::caller::Caller;
use crate::error::ApiError;
use crate::index::Index;
use crate::input::{Path, Query};
use crate::limits::Limit;
use crate::store::Member;

/// To the second would tell who joined together with whom.
const DAY_S: u64 = 24 * 60 * 60;

/// Files of one page of a folder.
const PAGE: u32 = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Folder {
    folder: String,
    cursor: Option<String>,
}

pub(super) async fn show(
    State(index): State<Index>,
    caller: Caller,
    Path(peer): Path<PeerId>,
) -> Result<Json<Profile>, ApiError> {
    caller.count(&index, Limit::Browses)?;
    let member = member(&index, &peer).await?;
    let (files, bytes) = index.store.profile(member.no).await?;
    Ok(Json(Profile {
        peer,
        online: index.is_online(&peer),
        name: member.name,
        member_since_unix_s: member.created_unix_s - member.created_unix_s % DAY_S,
        files,
        bytes,
        browsable: member.browsable,
    }))
}

pub(super) async fn browse(
    State(index): State<Index>,
    caller: Caller,
    Path(peer): Path<PeerId>,
    Query(place): Query<Folder>,
) -> Result<Json<LibraryPage>, ApiError> {
    caller.count(&index, Limit::Browses)?;
    let member = browsable(&index, &caller, &peer).await?;
    let mut page = index.store.library_page(member.no, &place.folder, place.cursor.as_deref(), PAGE).await?;
    let files: Vec<_> = page.files.iter().map(|row| row.file_id).collect();
    let numbers = index.store.file_nos(&files).await?;
    for row in &mut page.files {
        row.sources = numbers.get(&row.file_id).map_or(0, |number| index.online.sources(*number));
    }
    Ok(Json(page))
}

/// A member whose library the caller may look through: one who lets others, or the caller itself.
pub(super) async fn browsable(index: &Index, caller: &Caller, peer: &PeerId) -> Result<Member, ApiError> {
    let member = member(index, peer).await?;
    if member.browsable || *peer == caller.peer { Ok(member) } else { Err(ApiError::new(ErrorCode::NotBrowsable)) }
}

async fn member(index: &Index, peer: &PeerId) -> Result<Member, ApiError> {
    let member = index.store.member(peer).await?.filter(|_| !index.roster.is_banned(peer));
    member.ok_or_else(|| ApiError::because(ErrorCode::NotFound, "no such peer"))
}
