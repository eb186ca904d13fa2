//! The whole HTTP API.

mod albums;
mod control;
mod files;
mod frame;
mod health;
mod info;
mod introductions;
mod library;
mod me;
mod peers;
mod reports;
mod search;
mod sessions;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::middleware;
use axum::routing::{get, post};
use choir_shared::index_api::{ErrorCode, PREFIX};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::decompression::RequestDecompressionLayer;

use crate::error::ApiError;
use crate::index::Index;

/// The longest body but for change sets: a login is below 1 KB.
const SMALL_BODY_BYTES: usize = 16 * 1024;

pub(crate) fn router(index: Index) -> Router {
    let api = Router::new()
        .route("/info", get(info::info))
        .route("/challenge", get(sessions::challenge))
        .route("/sessions", post(sessions::log_in))
        .route("/me", get(me::show).put(me::update).delete(me::erase))
        .route("/library/changes", post(library::change).layer(RequestDecompressionLayer::new()))
        .route("/search", get(search::search))
        .route("/albums", get(albums::search))
        .route("/albums/{album_key}", get(albums::show))
        .route("/files/{id}", get(files::show))
        .route("/files/{id}/sources", get(files::sources))
        .route("/introductions", post(introductions::introduce))
        .route("/peers/{who}", get(peers::show))
        .route("/peers/{who}/library", get(peers::browse))
        .route("/reports", post(reports::report))
        .route("/control", get(control::connect));
    Router::new()
        .nest(PREFIX, api)
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(SMALL_BODY_BYTES))
        .layer(CatchPanicLayer::custom(frame::panicked))
        .layer(middleware::from_fn_with_state(index.clone(), frame::frame))
        .with_state(index)
}

async fn unknown_route(uri: Uri) -> ApiError {
    ApiError::because(ErrorCode::NotFound, format_args!("there is no {}", uri.path()))
}

async fn unknown_method(method: Method, uri: Uri) -> ApiError {
    ApiError::because(ErrorCode::NotFound, format_args!("{} does not answer {method}", uri.path()))
}
