//! The whole HTTP API.

mod albums;
mod control;
mod description;
mod files;
mod frame;
mod health;
mod info;
mod introductions;
mod library;
mod me;
mod peers;
mod replicas;
mod reports;
mod search;
mod sessions;

use std::convert::Infallible;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Uri};
use axum::middleware;
use axum::routing::{get, post};
use choir_shared::index_api::{ErrorCode, PREFIX};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::decompression::RequestDecompressionLayer;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::index::Index;
use crate::limits::Limit;
use crate::origin::Origin;

/// The longest body but for change sets: a login is below 1 KB.
const SMALL_BODY_BYTES: usize = 16 * 1024;

pub(crate) fn router(index: Index) -> Router {
    let api = OpenApiRouter::new()
        .routes(routes!(info::info))
        .routes(routes!(sessions::challenge))
        .routes(routes!(sessions::log_in))
        .routes(routes!(me::show, me::update, me::erase))
        .routes(routes!(library::change).layer(RequestDecompressionLayer::new()))
        .routes(routes!(search::search))
        .routes(routes!(albums::search))
        .routes(routes!(albums::show))
        .routes(routes!(files::show))
        .routes(routes!(files::sources))
        .routes(routes!(introductions::introduce))
        .routes(routes!(peers::show))
        .routes(routes!(peers::browse))
        .routes(routes!(reports::report))
        .routes(routes!(control::connect));
    let (router, described) = OpenApiRouter::with_openapi(description::head())
        .nest(PREFIX, api)
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .split_for_parts();
    // Written once: anyone may ask for it.
    let described = Bytes::from(serde_json::to_vec(&description::with_errors(described)).unwrap_or_default());
    let described = move |State(index): State<Index>, origin: Origin| async move {
        index.limits.count_network(Limit::Visits, origin)?;
        Ok::<_, ApiError>(([(CONTENT_TYPE, "application/json")], described))
    };
    let letters = Router::new().route(crate::replicas::PATH, post(replicas::deliver));
    router
        .merge(if index.replicas.is_some() { letters } else { Router::new() })
        .route("/openapi.json", get(described))
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        .layer(DefaultBodyLimit::max(SMALL_BODY_BYTES))
        .layer(CatchPanicLayer::custom(frame::panicked))
        .layer(middleware::from_fn_with_state(index.clone(), frame::frame))
        .with_state(index)
}

async fn unknown_route(State(index): State<Index>, origin: Origin, uri: Uri) -> Result<Infallible, ApiError> {
    index.limits.count_network(Limit::Visits, origin)?;
    Err(ApiError::because(ErrorCode::NotFound, format_args!("there is no {}", uri.path())))
}

async fn unknown_method(
    State(index): State<Index>,
    origin: Origin,
    method: Method,
    uri: Uri,
) -> Result<Infallible, ApiError> {
    index.limits.count_network(Limit::Visits, origin)?;
    Err(ApiError::because(ErrorCode::MethodNotAllowed, format_args!("{} does not answer {method}", uri.path())))
}
