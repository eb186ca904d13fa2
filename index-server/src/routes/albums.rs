//! `GET /albums` and one of them.

use axum::Json;
use axum::extract::State;
use choir_shared::album::album_key;
use choir_shared::index_api::albums::{MAX_ALBUM_HOLDERS, MAX_ALBUMS};
use choir_shared::index_api::{Album, AlbumHolder, AlbumPage, AlbumRow, ErrorCode};
use choir_shared::query::{Group, SearchParams};

use super::search::{held, search_row, turn};
use crate::auth::caller::Caller;
use crate::error::ApiError;
use crate::index::Index;
use crate::input::{self, Path};
use crate::keys;
use crate::limits::Limit;
use crate::search::FoundAlbum;
use crate::store::FileNo;

#[utoipa::path(get, path = "/albums", params(SearchParams), responses((status = 200, body = AlbumPage), (status = 404)), security(("token" = [])))]
pub(super) async fn search(
    State(index): State<Index>,
    caller: Caller,
    input::Query(params): input::Query<SearchParams>,
) -> Result<Json<AlbumPage>, ApiError> {
    caller.count(&index, Limit::Searches)?;
    let mut query = params.parse().map_err(|error| ApiError::because(ErrorCode::BadQuery, error))?;
    query.group = Group::Album;
    query.limit = query.limit.min(MAX_ALBUMS);
    let held = held(&index, &caller, &query).await?;
    let _turn = turn(&index, &caller).await?;
    let engine = index.clone();
    let found = tokio::task::spawn_blocking(move || engine.search.albums(&query, &engine.online, held.as_deref()));
    let found = found.await.map_err(ApiError::internal)??;
    let albums = rows(&index, &found.albums).await?;
    Ok(Json(AlbumPage { total: found.total, total_is: found.total_is, next: found.next, albums }))
}

#[utoipa::path(get, path = "/albums/{album_key}", params(("album_key" = String, Path)), responses((status = 200, body = Album)), security(("token" = [])))]
pub(super) async fn show(
    State(index): State<Index>,
    caller: Caller,
    Path(key): Path<String>,
) -> Result<Json<Album>, ApiError> {
    caller.count(&index, Limit::Searches)?;
    let unknown = || ApiError::because(ErrorCode::NotFound, "no such album");
    let number = key.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or_else(unknown)?;
    let _turn = turn(&index, &caller).await?;
    let engine = index.clone();
    let found = tokio::task::spawn_blocking(move || engine.search.album(number, &engine.online));
    let found = found.await.map_err(ApiError::internal)??.ok_or_else(unknown)?;

    let numbers: Vec<FileNo> = found.files.iter().map(|(_, no)| *no).collect();
    let files = index.store.files_by_no(&numbers).await?;
    // The search index knows half of the key.
    if !files.iter().any(|file| album_key(&file.claim).as_deref() == Some(key.as_str())) {
        return Err(unknown());
    }
    let row = rows(&index, std::slice::from_ref(&found)).await?.pop().ok_or_else(unknown)?;
    let holders = holders(&index, found).await?;
    // What was blocked a moment ago may still be in the search index.
    let files = files.into_iter().filter(|file| !index.blocks.is_blocked(file.no));
    Ok(Json(Album { row, files: files.map(|file| search_row(&index, file)).collect(), holders }))
}

async fn rows(index: &Index, albums: &[FoundAlbum]) -> Result<Vec<AlbumRow>, ApiError> {
    let named_by: Vec<FileNo> = albums.iter().map(|album| album.named_by).collect();
    let files = index.store.files_by_no(&named_by).await?;
    let row = |album: &FoundAlbum| {
        // A file may have changed since the search index last looked; then its album shows up with the next look.
        let file = files.iter().find(|file| file.no == album.named_by)?;
        Some(AlbumRow {
            album_key: album_key(&file.claim)?,
            title: album.title.clone(),
            artist: album.artist.clone(),
            year: album.year,
            tracks: album.tracks,
            tracks_online: album.tracks_online,
            track_total: album.track_total,
            complete: album.track_total.is_some_and(|total| album.tracks_online >= total),
        })
    };
    Ok(albums.iter().filter_map(row).collect())
}

/// Who is online and holds most of it.
async fn holders(index: &Index, album: FoundAlbum) -> Result<Vec<AlbumHolder>, ApiError> {
    let (seed, engine) = (u64::from_be_bytes(keys::random()), index.clone());
    let most = move || engine.online.holders_of_most(&album.copies(), MAX_ALBUM_HOLDERS, seed);
    let most = tokio::task::spawn_blocking(most).await.map_err(ApiError::internal)?;
    let members = index.store.members_by_no(&most.iter().map(|(member, _)| *member).collect::<Vec<_>>()).await?;
    let holder = |(no, tracks): &(crate::store::MemberNo, u32)| {
        let member = members.iter().find(|member| member.no == *no)?;
        Some(AlbumHolder { peer: member.peer, name: member.name.clone(), tracks: *tracks })
    };
    Ok(most.iter().filter_map(holder).collect())
}
