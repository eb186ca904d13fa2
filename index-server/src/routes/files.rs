//! `GET /files/{id}` and its sources.

use axum::Json;
use axum::extract::State;
use choir_shared::FileId;
use choir_shared::index_api::people::MAX_SOURCES;
use choir_shared::index_api::{ErrorCode, Reach, SearchRow, Source, Sources};

use super::search::search_row;
use crate::auth::caller::Caller;
use crate::error::ApiError;
use crate::index::Index;
use crate::input::Path;
use crate::keys;
use crate::limits::Limit;
use crate::store::{FileNo, MemberNo};

#[utoipa::path(get, path = "/files/{id}", params(("id" = FileId, Path)), responses((status = 200, body = SearchRow)), security(("token" = [])))]
pub(super) async fn show(
    State(index): State<Index>,
    caller: Caller,
    Path(file): Path<FileId>,
) -> Result<Json<SearchRow>, ApiError> {
    caller.count(&index, Limit::Browses)?;
    let unknown = || ApiError::because(ErrorCode::NotFound, "nobody here has shared this file");
    let number = index.store.file_no(&file).await?.ok_or_else(unknown)?;
    unless_blocked(&index, number)?;
    // A file that nobody holds any more keeps its number.
    let file = index.store.files_by_no(&[number]).await?.pop().filter(|file| file.holders > 0);
    file.map(|file| Json(search_row(&index, file))).ok_or_else(unknown)
}

/// Who asks for a blocked file by its id is told why it is not here.
pub(super) fn unless_blocked(index: &Index, file: FileNo) -> Result<(), ApiError> {
    match index.blocks.reason(file) {
        Some(reason) if reason.is_empty() => Err(ApiError::new(ErrorCode::Blocked)),
        Some(reason) => Err(ApiError::because(ErrorCode::Blocked, reason)),
        None => Ok(()),
    }
}

/// A file that the index does not know, or that is blocked, has no sources; that is an answer, and no error: it may be waited for.
#[utoipa::path(get, path = "/files/{id}/sources", params(("id" = FileId, Path)), responses((status = 200, body = Sources)), security(("token" = [])))]
pub(super) async fn sources(
    State(index): State<Index>,
    caller: Caller,
    Path(file): Path<FileId>,
) -> Result<Json<Sources>, ApiError> {
    caller.count(&index, Limit::Sources)?;
    let number = index.store.file_no(&file).await?.filter(|number| !index.blocks.is_blocked(*number));
    let Some(number) = number else {
        return Ok(Json(Sources { sources: Vec::new(), online: 0 }));
    };
    let sources = draw(&index, &caller, number).await?;
    Ok(Json(Sources { sources, online: index.online.sources(number) }))
}

/// By lot, so that the load is shared; those that have it whole first.
async fn draw(index: &Index, caller: &Caller, file: FileNo) -> Result<Vec<Source>, ApiError> {
    let seed = u64::from_be_bytes(keys::random());
    // One more, since the caller may be among them.
    let mut whole = index.online.holders(file, MAX_SOURCES + 1, seed);
    whole.retain(|member| *member != caller.member);
    whole.truncate(MAX_SOURCES);
    let mut partial = index.online.partial_holders(file, MAX_SOURCES + 1, seed);
    partial.retain(|member| *member != caller.member);
    partial.truncate(MAX_SOURCES - whole.len());
    let all: Vec<MemberNo> = [&whole[..], &partial].concat();
    let members = index.store.members_by_no(&all).await?;
    let source = |member: crate::store::Member| Source {
        reach: if index.addresses.address(&member.peer).is_some() { Reach::Direct } else { Reach::Unknown },
        complete: whole.contains(&member.no),
        peer: member.peer,
        name: member.name,
    };
    Ok(members.into_iter().map(source).collect())
}
