//! The whole API on one page.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::PREFIX;
use super::handlers as h;
use super::server::Door;
use super::service::Service;

type State<S> = Arc<Door<S>>;

struct Route<S> {
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the router has it in the handler; the tests of the guard read it")
    )]
    method: Method,
    path: String,
    handler: MethodRouter<State<S>>,
}

/// Every route. A list and not a chain, so that the tests of the guard can go through it.
fn all<S: Service>() -> Vec<Route<S>> {
    vec![
        page("/", h::page),
        get("/alive", h::alive),
        get("/status", h::status::<S>),
        get("/doctor", h::doctor::<S>),
        post("/stop", h::stop::<S>),
        //
        get("/indexes", h::indexes::<S>),
        post("/indexes", h::join::<S>),
        get("/indexes/preview", h::index_preview::<S>),
        delete("/indexes/{index}", h::leave::<S>),
        put("/indexes/{index}/default", h::set_default_index::<S>),
        put("/name", h::rename::<S>),
        //
        get("/folders", h::folders::<S>),
        post("/folders", h::share_add::<S>),
        delete("/folders", h::share_remove::<S>),
        post("/library/rescan", h::rescan::<S>),
        get("/library/events", h::library_events::<S>),
        //
        get("/search", h::search::<S>),
        get("/files/{file}", h::file::<S>),
        //
        get("/downloads", h::downloads::<S>),
        post("/downloads", h::download_start::<S>),
        get("/downloads/events", h::download_events::<S>),
        get("/downloads/limit", h::download_limit::<S>),
        put("/downloads/limit", h::set_download_limit::<S>),
        get("/downloads/{download}", h::download::<S>),
        post("/downloads/{download}/take", h::download_take::<S>),
        post("/downloads/{download}/{action}", h::download_change::<S>),
        put("/downloads/{download}/priority", h::download_priority::<S>),
        get("/uploads", h::uploads::<S>),
        put("/uploads/limit", h::set_upload_limit::<S>),
        //
        get("/peers/{peer}", h::whois::<S>),
        get("/peers/{peer}/library", h::browse::<S>),
        put("/peers/{peer}/ban", h::ban::<S>),
        delete("/peers/{peer}/ban", h::unban::<S>),
    ]
}

pub(super) fn router<S: Service>() -> Router<State<S>> {
    all().into_iter().fold(Router::new(), |router, route| router.route(&route.path, route.handler))
}

/// Method and path of every route.
#[cfg(test)]
pub(super) fn listed() -> Vec<(Method, String)> {
    all::<super::fake::FakeService>().into_iter().map(|route| (route.method, route.path)).collect()
}

fn page<S: Service, T: 'static>(path: &str, handler: impl Handler<T, State<S>>) -> Route<S> {
    Route { method: Method::GET, path: path.to_owned(), handler: on(MethodFilter::GET, handler) }
}

fn route<S: Service, T: 'static>(
    (method, filter): (Method, MethodFilter),
    path: &str,
    handler: impl Handler<T, State<S>>,
) -> Route<S> {
    Route { method, path: format!("{PREFIX}{path}"), handler: on(filter, handler) }
}

fn get<S: Service, T: 'static>(path: &str, handler: impl Handler<T, State<S>>) -> Route<S> {
    route((Method::GET, MethodFilter::GET), path, handler)
}

fn post<S: Service, T: 'static>(path: &str, handler: impl Handler<T, State<S>>) -> Route<S> {
    route((Method::POST, MethodFilter::POST), path, handler)
}

fn put<S: Service, T: 'static>(path: &str, handler: impl Handler<T, State<S>>) -> Route<S> {
    route((Method::PUT, MethodFilter::PUT), path, handler)
}

fn delete<S: Service, T: 'static>(path: &str, handler: impl Handler<T, State<S>>) -> Route<S> {
    route((Method::DELETE, MethodFilter::DELETE), path, handler)
}
