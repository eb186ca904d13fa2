//! What the operator sees: metrics on a listener of their own; logs on stderr, or in a file that does not grow without
//! end.
//!
//! Neither holds addresses, paths or queries. Our own lines never do; of libraries, those that print addresses are
//! silenced by default.

mod capped_file;

use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, OnceLock};

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::settings::LogSettings;
use capped_file::CappedFile;

/// From a lookup in memory to the time limit of a request.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Documents looked at by a search.
const DOCUMENTS: [f64; 7] = [10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7];

/// quinn-udp warns of packets that could not be sent, and says to whom.
const DEFAULT_FILTER: &str = "info,quinn_udp=error,sqlx::postgres::notice=warn";

/// `CHOIR_LOG` says what is logged, in the words of tracing's `EnvFilter`; it is JSON where nobody reads along.
pub fn log(settings: &LogSettings) -> io::Result<()> {
    let filter = EnvFilter::try_from_env("CHOIR_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    // A second index in one process logs to where the first one does.
    let _ = match &settings.file {
        Some(path) => log.json().with_writer(Mutex::new(CappedFile::open(path, settings.megabytes)?)).try_init(),
        None if io::stderr().is_terminal() => log.with_writer(io::stderr).try_init(),
        None => log.json().with_writer(io::stderr).try_init(),
    };
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The names of metrics in a text.
    fn names(text: &str) -> BTreeSet<String> {
        let begins = text.match_indices("choir_index_").map(|(begin, _)| &text[begin..]);
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        begins.map(|rest| rest.split(|c| !is_name(c)).next().unwrap_or(rest).to_owned()).collect()
    }

    fn recorded(folder: &Path, into: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                recorded(&entry, into);
            } else {
                let text = std::fs::read_to_string(&entry).unwrap();
                let measured = text.lines().filter(|line| line.contains("!(\"choir_index_"));
                measured.for_each(|line| into.extend(names(line)));
            }
        }
    }

    #[test]
    fn the_board_shows_metrics_that_exist() {
        let board = include_str!("../../packaging/grafana-choir-index.json");
        let board: serde_json::Value = serde_json::from_str(board).unwrap();
        let mut known = BTreeSet::new();
        recorded(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut known);
        let panels = board["panels"].as_array().unwrap();
        let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
        let mut shown = BTreeSet::new();
        for target in targets {
            let asked = names(target["expr"].as_str().unwrap());
            assert!(!asked.is_empty(), "{target}");
            shown.extend(asked.into_iter().map(|name| name.strip_suffix("_bucket").unwrap_or(&name).to_owned()));
        }
        assert!(shown.is_subset(&known), "{:?} do not exist", shown.difference(&known).collect::<Vec<_>>());
        assert!(shown.len() > 15, "{shown:?}");
    }

    #[test]
    fn by_default_no_library_writes_addresses_into_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = CappedFile::open(&path, LogSettings::default().megabytes).unwrap();
        let filter = EnvFilter::new(DEFAULT_FILTER);
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Mutex::new(file)).finish();
        tracing::subscriber::with_default(log, || {
            tracing::info!("ours");
            tracing::warn!(target: "quinn_udp", "sendmsg error: destination 5.6.7.8:9");
        });
        let written = std::fs::read_to_string(path).unwrap();
        assert!(written.contains("ours") && !written.contains("5.6.7.8"), "{written}");
    }
}
