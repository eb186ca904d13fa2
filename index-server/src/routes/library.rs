//! `POST /library/changes`: what a peer shares.
//!
//! Large libraries arrive as hundreds of sets at once. Only a few are worked on at the same time, so that searches
//! always find a processor; only some are received at the same time, so that memory is bounded.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use choir_shared::FileId;
use choir_shared::index_api::library::MAX_BYTES;
use choir_shared::index_api::{ChangeSet, ChangesAnswer, ErrorCode};
use tokio::sync::watch;

use crate::auth::caller::Caller;
use crate::error::ApiError;
use crate::giving_way::giving_way;
use crate::index::Index;
use crate::input::Object;
use crate::limits::Limit;
use crate::store::{ChangeError, Quotas};

/// Changed files that search may not have seen yet when a set is applied: what it takes over in some two seconds. A
/// song can be found soon after it was published, however many others are.
const MOST_UNSEEN: u64 = 25_000;

/// For how long a set waits for search.
const LET_SEARCH_FOLLOW: Duration = Duration::from_secs(1);

/// A set takes some ten milliseconds, so a place is free again soon.
const COME_BACK: Duration = Duration::from_secs(1);

#[utoipa::path(post, path = "/library/changes", request_body = ChangeSet, responses((status = 200, body = ChangesAnswer), (status = 408), (status = 409), (status = 422)), security(("token" = [])))]
pub(super) async fn change(
    State(index): State<Index>,
    caller: Caller,
    body: Body,
) -> Result<Json<ChangesAnswer>, ApiError> {
    let own = index.roster.own_quota(caller.member);
    match own.changes_per_minute {
        Some(most) => index.limits.count_own(Limit::Changes, &caller.peer, most)?,
        None => caller.count(&index, Limit::Changes)?,
    }
    let busy = || ApiError::busy("uploads").retry_after(COME_BACK);
    let upload = index.uploads.admit(caller.member, caller.origin.counted()).ok_or_else(busy)?;
    // What comes here is unpacked already, so the limit holds for what a bomb would become.
    let body = upload.receive(body, MAX_BYTES).await?;

    let _turn = index.changes.acquire().await.map_err(ApiError::internal)?;
    // While search is being filled or is out of order, nothing is found soon, and others are still told who holds what.
    if index.caught_up.load(Ordering::Relaxed) {
        followed(index.indexed_revision.subscribe(), index.store.revision().await?).await;
    }
    let set = giving_way(move || serde_json::from_slice::<Object<ChangeSet>>(&body)).await;
    let Object(set) =
        set.map_err(ApiError::internal)?.map_err(|error| ApiError::because(ErrorCode::BadRequest, error))?;
    let limits = &index.settings.limits;
    let all = Quotas { files_per_peer: limits.files_per_peer, claim_bytes_per_peer: limits.claim_bytes_per_peer };
    index.to_the_end(apply(index.clone(), caller, set, own.apply(all))).await.map_err(ApiError::internal)?.map(Json)
}

/// Waits until search has seen nearly all that was published, or that has taken too long.
async fn followed(mut indexed: watch::Receiver<u64>, published: u64) {
    let followed = indexed.wait_for(|indexed| published.saturating_sub(*indexed) < MOST_UNSEEN);
    if tokio::time::timeout(LET_SEARCH_FOLLOW, followed).await.is_err() {
        metrics::counter!("choir_index_search_waits_given_up_total").increment(1);
    }
}

async fn apply(index: Index, caller: Caller, set: ChangeSet, quotas: Quotas) -> Result<ChangesAnswer, ApiError> {
    let voter = index.keys.network_number(caller.origin.network());
    let ids: Vec<FileId> = set.add.iter().map(|addition| addition.file).collect();
    let _library = index.library(caller.member).await;
    let applied = match index.store.apply(caller.member, &caller.peer, voter, set, &quotas).await {
        Ok(applied) => applied,
        Err(error) => {
            // A commit whose answer was lost may have been one.
            if matches!(error, ChangeError::Store(_)) {
                index.doubt(&caller).await;
            }
            return Err(error.into());
        }
    };
    metrics::counter!("choir_index_holdings_added_total").increment(applied.added.len() as u64);
    if let Err(error) = index.library_changed(&caller, &ids, applied.added, applied.removed).await {
        index.doubt(&caller).await;
        return Err(error.into());
    }
    Ok(applied.answer)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_set_waits_for_search_but_not_for_ever() {
        let (indexed, begun) = (watch::Sender::new(7), Instant::now());
        assert!(followed(indexed.subscribe(), 6 + MOST_UNSEEN).now_or_never().is_some());
        let mut waiting = Box::pin(followed(indexed.subscribe(), 7 + MOST_UNSEEN));
        assert!(waiting.as_mut().now_or_never().is_none());
        indexed.send_replace(8);
        waiting.await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        followed(indexed.subscribe(), 8 + MOST_UNSEEN).await;
        assert_eq!(begun.elapsed(), LET_SEARCH_FOLLOW);
    }
}
