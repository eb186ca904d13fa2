//! What the operator sees: metrics on a listener of their own, logs on stderr.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// From a lookup in memory to the time limit of a request.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Documents looked at by a search.
const DOCUMENTS: [f64; 7] = [10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7];

/// `CHOIR_LOG` says what is logged, in the words of tracing's `EnvFilter`; it is JSON where nobody reads along.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("CHOIR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second index in one process logs to where the first one does.
    let _ = if std::io::stderr().is_terminal() { log.try_init() } else { log.json().try_init() };
}

/// Counts from now on. Metrics belong to the process, so that two indexes in one process share them.
pub(crate) fn recorder() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let buckets = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_visited".to_owned()), &DOCUMENTS));
        let recorder = buckets.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder takes the metrics");
        }
        handle
    })
}

pub(crate) fn router(handle: &'static PrometheusHandle) -> Router {
    Router::new().route("/metrics", get(|| async { handle.render() }))
}
