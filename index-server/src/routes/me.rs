//! `/me`: the caller's own account.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use choir_shared::index_api::{ErrorCode, Me, MeUpdate};

use crate::auth::caller::Caller;
use crate::clock::now_unix_s;
use crate::error::ApiError;
use crate::index::Index;
use crate::input;
use crate::limits::Limit;
use crate::store::DisplayName;

#[utoipa::path(get, path = "/me", responses((status = 200, body = Me)), security(("token" = [])))]
pub(super) async fn show(State(index): State<Index>, caller: Caller) -> Result<Json<Me>, ApiError> {
    caller.count(&index, Limit::Browses)?;
    me(&index, &caller).await.map(Json)
}

#[utoipa::path(put, path = "/me", request_body = MeUpdate, responses((status = 200, body = Me), (status = 409)), security(("token" = [])))]
pub(super) async fn update(
    State(index): State<Index>,
    caller: Caller,
    input::Json(update): input::Json<MeUpdate>,
) -> Result<Json<Me>, ApiError> {
    caller.count(&index, Limit::Changes)?;
    if let Some(name) = &update.name {
        let name = DisplayName::new(name).map_err(|error| ApiError::because(ErrorCode::BadClaim, error))?;
        index.store.rename(&caller.peer, &name, now_unix_s()).await?;
    }
    if let Some(browsable) = update.browsable {
        index.store.set_browsable(&caller.peer, browsable).await?;
    }
    me(&index, &caller).await.map(Json)
}

/// Erases the caller, its libraries and its name at once.
#[utoipa::path(delete, path = "/me", responses((status = 204)), security(("token" = [])))]
pub(super) async fn erase(State(index): State<Index>, caller: Caller) -> Result<StatusCode, ApiError> {
    caller.count(&index, Limit::Changes)?;
    index.erase(caller.peer, caller.member).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn me(index: &Index, caller: &Caller) -> Result<Me, ApiError> {
    let member = index.store.member(&caller.peer).await?.ok_or_else(|| ApiError::new(ErrorCode::NotLoggedIn))?;
    Ok(Me { peer: member.peer, name: member.name, browsable: member.browsable })
}
