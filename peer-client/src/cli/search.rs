//! `choir search`

use choir_shared::index_api::TotalIs;
use choir_shared::query::SearchParams;
use choir_shared::text::escape_controls;

use super::args::Search;
use super::context::Context;
use super::last_search::LastSearch;
use super::output::Output;
use super::{songs, units};
use crate::api::types::SearchReport;
use crate::api::{Answer, ErrorKind, Exit, ServiceError};

pub(super) async fn run(context: &Context, search: Search) -> Answer<Exit> {
    let whose = search.peer.clone();
    let mut params = params(search);
    if whose.is_none() {
        // What makes no sense is said without waking a daemon.
        params.clone().parse().map_err(|error| ServiceError::new(ErrorKind::Usage, error.to_string()))?;
    }
    let report = context
        .with_peer(async |peer| {
            if let Some(name) = &whose {
                params.peer = Some(peer.client.whois(name).await?.peer.to_string());
            }
            peer.client.search(&params).await
        })
        .await?;
    LastSearch::write(&context.last_search(), &report.results);
    for note in &report.notes {
        context.out.message(format!("{}: {}", note.index, note.message));
    }
    context.out.result(&report, |out| show(out, &report));
    if report.results.is_empty() {
        context.out.message("nothing found; fewer words or filters find more, `--offline` also what nobody online has");
        return Ok(Exit::NotFound);
    }
    Ok(Exit::Done)
}

pub(super) fn params(search: Search) -> SearchParams {
    SearchParams {
        q: Some(search.words.join(" ")).filter(|words| !words.trim().is_empty()),
        title: search.title,
        artist: search.artist,
        album: search.album,
        format: search.format,
        min_bitrate_kbps: search.min_bitrate,
        max_bitrate_kbps: search.max_bitrate,
        min_duration_ms: search.min_length.map(|length| length.0),
        max_duration_ms: search.max_length.map(|length| length.0),
        min_size: search.min_size.map(|size| size.0),
        max_size: search.max_size.map(|size| size.0),
        sort: search.sort,
        limit: search.limit,
        cursor: search.cursor,
        offline: search.offline.then_some(true),
        ..SearchParams::default()
    }
}

fn show(out: &Output, report: &SearchReport) {
    if report.results.is_empty() {
        return;
    }
    out.table(&songs::table(&report.results));
    let shown = report.results.len() as u64;
    if report.total > shown || report.total_is == TotalIs::AtLeast {
        let total = match report.total_is {
            TotalIs::Exact => units::count(report.total, "file"),
            TotalIs::AtLeast => format!("at least {}", units::count(report.total, "file")),
        };
        let next = report.next.as_deref().map(|next| format!("; --cursor {} shows more", escape_controls(next)));
        out.message(format!("{shown} of {total}{}", next.unwrap_or_default()));
    }
}
