//! `GET /search`.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use choir_shared::index_api::{ErrorCode, SearchPage, SearchRow};
use choir_shared::query::{Query, SearchParams};

use crate::auth::caller::Caller;
use crate::error::ApiError;
use crate::index::Index;
use crate::input;
use crate::limits::Limit;
use crate::search::Found;
use crate::store::{FileNo, FileRow};
use crate::turns::SearchTurn;

/// When to try again.
const COME_BACK: Duration = Duration::from_secs(1);

#[utoipa::path(get, path = "/search", params(SearchParams), responses((status = 200, body = SearchPage), (status = 404)), security(("token" = [])))]
pub(super) async fn search(
    State(index): State<Index>,
    caller: Caller,
    input::Query(params): input::Query<SearchParams>,
) -> Result<Json<SearchPage>, ApiError> {
    caller.count(&index, Limit::Searches)?;
    let query = params.parse().map_err(|error| ApiError::because(ErrorCode::BadQuery, error))?;
    let held = held(&index, &caller, &query).await?;
    let _turn = turn(&index, &caller).await?;
    let engine = index.clone();
    let found = tokio::task::spawn_blocking(move || engine.search.search(&query, &engine.online, held.as_deref()));
    let found = found.await.map_err(ApiError::internal)??;
    metrics::histogram!("choir_index_search_visited").record(found.visited as f64);
    page(&index, found).await.map(Json)
}

/// The files of the peer that the query names, if the caller may look through them.
pub(super) async fn held(index: &Index, caller: &Caller, query: &Query) -> Result<Option<Vec<FileNo>>, ApiError> {
    let Some(peer) = &query.peer else { return Ok(None) };
    let member = super::peers::browsable(index, caller, peer).await?;
    Ok(Some(index.store.holdings(member.no).await?))
}

/// A processor to search with. While this replica does not know all songs yet, others do.
pub(super) async fn turn<'a>(index: &'a Index, caller: &Caller) -> Result<SearchTurn<'a>, ApiError> {
    if index.replicas.is_some() && !index.caught_up.load(Ordering::Relaxed) {
        return Err(
            ApiError::because(ErrorCode::Unavailable, "the search index is being filled").retry_after(COME_BACK)
        );
    }
    let turn = index.search_turns.take(caller.member, caller.origin).await;
    turn.ok_or_else(|| ApiError::busy("searches").retry_after(COME_BACK))
}

async fn page(index: &Index, found: Found) -> Result<SearchPage, ApiError> {
    let files = index.store.files_by_no(&found.hits).await?;
    // What was blocked a moment ago may still be in the search index.
    let files: Vec<_> = files.into_iter().filter(|file| !index.blocks.is_blocked(file.no)).collect();
    let explain = found.explanations.map(|explanations| {
        let mut of_file: HashMap<_, _> = found.hits.into_iter().zip(explanations).collect();
        files.iter().map_while(|file| of_file.remove(&file.no)).collect()
    });
    let results = files.into_iter().map(|file| search_row(index, file)).collect();
    Ok(SearchPage {
        total: found.total,
        total_is: found.total_is,
        next: found.next,
        results,
        facets: found.facets,
        explain,
    })
}

/// The store's row with the sources of now.
pub(super) fn search_row(index: &Index, file: FileRow) -> SearchRow {
    SearchRow { sources: index.online.sources(file.no), ..file.row }
}
