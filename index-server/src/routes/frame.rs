//! What surrounds every request: a time limit, a measurement, a line in the log if it failed by the index's own fault or
//! took long; of all others only when asked for (`debug`).
//!
//! The log names the route, never the path or the query: what people search for is nobody's business. It holds no
//! address either.

use std::any::Any;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use choir_shared::index_api::{ErrorCode, PROBLEM_JSON};
use tracing::Instrument as _;

use crate::error::ApiError;
use crate::index::Index;
use crate::keys;

/// What all unknown paths are measured as: a scanner must not make a metric for each of its guesses.
const NO_ROUTE: &str = "none";

/// By which an operator finds the line in the log that a member's complaint is about. Ours alone: what a client
/// would send could be anything.
const REQUEST_ID: &str = "x-request-id";

/// People notice. A search takes some milliseconds.
const SLOW: Duration = Duration::from_secs(1);

pub(super) async fn frame(State(index): State<Index>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| NO_ROUTE.to_owned(), |path| path.as_str().to_owned());
    let id = format!("{:016x}", u64::from_be_bytes(keys::random()));
    let span = tracing::info_span!("request", %id, method = %request.method(), %route);
    let limit = Duration::from_secs(index.settings.limits.request_seconds.into());

    let answered = async {
        let mut response = match tokio::time::timeout(limit, next.run(request)).await {
            Ok(response) => in_our_form(response),
            Err(_) => ApiError::because(ErrorCode::Unavailable, "the request took too long")
                .retry_after(Duration::from_secs(1))
                .into_response(),
        };
        let (status, took) = (response.status().as_u16(), begun.elapsed());
        let ms = took.as_millis() as u64;
        match (response.status().is_server_error(), took >= SLOW) {
            (true, _) if index.limits.may_log() => tracing::warn!(status, ms, "answered"),
            (false, true) if index.limits.may_log() => tracing::info!(status, ms, "answered"),
            _ => tracing::debug!(status, ms, "answered"),
        }
        let labels = [("route", route.clone()), ("status", status.to_string())];
        metrics::counter!("choir_index_requests_total", &labels).increment(1);
        metrics::histogram!("choir_index_request_seconds", "route" => route.clone()).record(took.as_secs_f64());
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    };
    answered.instrument(span).await
}

/// A bug in one handler is the end of one request.
pub(super) fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    ApiError::internal(text.unwrap_or("a panic")).into_response()
}

/// Errors that layers below made themselves, such as an unknown content encoding.
fn in_our_form(response: Response) -> Response {
    let ours = Some(&HeaderValue::from_static(PROBLEM_JSON));
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || response.headers().get(CONTENT_TYPE) == ours {
        return response;
    }
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        status if status.is_client_error() => ErrorCode::BadRequest,
        _ => ErrorCode::Internal,
    };
    ApiError::because(code, status).into_response()
}
