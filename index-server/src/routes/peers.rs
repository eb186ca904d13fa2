//! `GET /peers/{key or name}` and its library, folder by folder.

use axum::Json;
use axum::extract::State;
use choir_shared::index_api::{ErrorCode, LibraryPage, Profile};
use choir_shared::{FileId, PeerId};
use serde::Deserialize;

use crate::auth::caller::Caller;
use crate::error::ApiError;
use crate::index::Index;
use crate::input::{Path, Query};
use crate::limits::Limit;
use crate::store::{DisplayName, Member, Named};

/// To the second would tell who joined together with whom.
const DAY_S: u64 = 24 * 60 * 60;

/// Files of one page of a folder.
const PAGE: u32 = 200;

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Folder {
    folder: String,
    cursor: Option<String>,
}

#[utoipa::path(get, path = "/peers/{who}", params(("who" = String, Path, description = "a key or a name")), responses((status = 200, body = Profile)), security(("token" = [])))]
pub(super) async fn show(
    State(index): State<Index>,
    caller: Caller,
    Path(who): Path<String>,
) -> Result<Json<Profile>, ApiError> {
    caller.count(&index, Limit::Browses)?;
    let member = meant(&index, &who).await?;
    let (files, bytes) = index.store.profile(member.no).await?;
    Ok(Json(Profile {
        peer: member.peer,
        online: index.is_online(&member.peer),
        name: member.name,
        member_since_unix_s: member.created_unix_s - member.created_unix_s % DAY_S,
        files,
        bytes,
        browsable: member.browsable,
    }))
}

#[utoipa::path(get, path = "/peers/{who}/library", params(("who" = String, Path, description = "a key or a name"), Folder), responses((status = 200, body = LibraryPage)), security(("token" = [])))]
pub(super) async fn browse(
    State(index): State<Index>,
    caller: Caller,
    Path(who): Path<String>,
    Query(place): Query<Folder>,
) -> Result<Json<LibraryPage>, ApiError> {
    caller.count(&index, Limit::Browses)?;
    let member = unless_closed(meant(&index, &who).await?, &caller)?;
    let mut page = index.store.library_page(&member, &place.folder, place.cursor.as_deref(), PAGE).await?;
    let files: Vec<_> = page.files.iter().map(|row| row.file_id).collect();
    let numbers = index.store.file_nos(&files).await?;
    let is_blocked = |file: &FileId| numbers.get(file).is_some_and(|number| index.blocks.is_blocked(*number));
    // Its owner sees it still.
    page.files.retain(|row| member.peer == caller.peer || !is_blocked(&row.file_id));
    for row in &mut page.files {
        row.sources = numbers.get(&row.file_id).map_or(0, |number| index.online.sources(*number));
    }
    Ok(Json(page))
}

/// A member whose library the caller may look through: one who lets others, or the caller itself.
pub(super) async fn browsable(index: &Index, caller: &Caller, peer: &PeerId) -> Result<Member, ApiError> {
    unless_closed(member(index, peer).await?, caller)
}

fn unless_closed(member: Member, caller: &Caller) -> Result<Member, ApiError> {
    let open = member.browsable || member.peer == caller.peer;
    if open { Ok(member) } else { Err(ApiError::new(ErrorCode::NotBrowsable)) }
}

/// Whom a path means. A key is longer than any name, so no text can be both.
///
/// A name means whoever has it, in any case and with any accents: that is what keyboards disagree about. Whoever has
/// one that merely looks like it is named in the refusal and not taken for the one that was meant: somebody who is
/// about to ban a liar must not ban the friend whose name the liar imitates.
async fn meant(index: &Index, who: &str) -> Result<Member, ApiError> {
    if let Ok(peer) = who.parse() {
        return member(index, &peer).await;
    }
    let nobody = || ApiError::new(ErrorCode::NotFound);
    // What may not be a name is nobody's.
    let name = DisplayName::new(who).map_err(|_| nobody())?;
    match index.store.named(&name).await? {
        Some(Named::Exactly(member)) if !index.roster.is_banned(&member.peer) => Ok(member),
        Some(Named::LooksLike(Member { peer, name: Some(name), .. })) if !index.roster.is_banned(&peer) => {
            let detail = format_args!("nobody here has this name, but {name} looks like it and is {peer}");
            Err(ApiError::because(ErrorCode::NotFound, detail))
        }
        _ => Err(nobody()),
    }
}

async fn member(index: &Index, peer: &PeerId) -> Result<Member, ApiError> {
    let member = index.store.member(peer).await?.filter(|_| !index.roster.is_banned(peer));
    member.ok_or_else(|| ApiError::because(ErrorCode::NotFound, "no such peer"))
}
