//! `/healthz`: the program runs. `/readyz`: it can answer.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use choir_shared::index_api::ErrorCode;

use crate::error::ApiError;
use crate::index::Index;
use crate::limits::Limit;
use crate::origin::Origin;

/// Filling a search index takes seconds for a small index and minutes for a large one.
const COME_BACK: Duration = Duration::from_secs(5);

#[utoipa::path(get, path = "/healthz", responses((status = 200, body = String), (status = 429)))]
pub(super) async fn live(State(index): State<Index>, origin: Origin) -> Result<&'static str, ApiError> {
    index.limits.count_network(Limit::Visits, origin)?;
    Ok("ok\n")
}

/// Not ready while the search index is being filled, when the store fails or cannot keep anything, and when the index is about to stop.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = String), (status = 429)))]
pub(super) async fn ready(State(index): State<Index>, origin: Origin) -> Result<&'static str, ApiError> {
    index.limits.count_network(Limit::Visits, origin)?;
    let unready = |why: &str| Err(ApiError::because(ErrorCode::Unavailable, why).retry_after(COME_BACK));
    if index.stopping.is_cancelled() {
        return unready("the index is stopping");
    }
    if !index.caught_up.load(Ordering::Relaxed) {
        return unready("the search index is being filled");
    }
    index.store.revision().await?;
    index.store.check_writers().await?;
    Ok("ready\n")
}
