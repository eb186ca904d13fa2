//! Letters from the other programs of this index. No part of the API: nobody else can write one.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use choir_shared::index_api::{Candidate, ErrorCode};

use super::introductions::candidates;
use crate::clock::now_unix_s;
use crate::error::ApiError;
use crate::index::Index;
use crate::replicas::{self, SEAL};

/// Tells a peer that is connected here what another program has to say to it. Where it can be met.
pub(super) async fn deliver(
    State(index): State<Index>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Vec<Candidate>>, ApiError> {
    let seal = headers.get(SEAL).and_then(|seal| seal.to_str().ok()).unwrap_or_default();
    let letter = replicas::open(&index.keys.replicas, seal, &body, now_unix_s());
    let letter = letter.ok_or_else(|| ApiError::new(ErrorCode::LoginFailed))?;
    if !index.say(&letter.to, letter.message) {
        return Err(ApiError::new(ErrorCode::Offline));
    }
    Ok(Json(candidates(&index, &letter.to)))
}
