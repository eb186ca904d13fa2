//! `POST /reports`: what the operator should look at.

use axum::Json;
use axum::extract::State;
use choir_shared::index_api::reports::MAX_DETAILS_BYTES;
use choir_shared::index_api::{ErrorCode, ReportRequest, Reported};

use crate::auth::caller::Caller;
use crate::clock::now_unix_s;
use crate::error::ApiError;
use crate::index::Index;
use crate::input;
use crate::limits::Limit;
use crate::store::QueueLimits;

#[utoipa::path(post, path = "/reports", request_body = ReportRequest, responses((status = 200, body = Reported), (status = 422)), security(("token" = [])))]
pub(super) async fn report(
    State(index): State<Index>,
    caller: Caller,
    input::Json(request): input::Json<ReportRequest>,
) -> Result<Json<Reported>, ApiError> {
    caller.count(&index, Limit::Reports)?;
    if request.file.is_none() && request.peer.is_none() {
        return Err(ApiError::because(ErrorCode::BadRequest, "a report names a file, a peer or both"));
    }
    if request.details.len() > MAX_DETAILS_BYTES {
        return Err(ApiError::because(
            ErrorCode::TooLarge,
            format_args!("at most {MAX_DETAILS_BYTES} bytes of details"),
        ));
    }
    let limits = &index.settings.limits;
    let queue = QueueLimits { per_peer: limits.waiting_reports_per_peer, in_all: limits.waiting_reports };
    let report = index.store.report(&caller.peer, request, queue, now_unix_s()).await?;
    metrics::counter!("choir_index_reports_total").increment(1);
    Ok(Json(Reported { report }))
}
