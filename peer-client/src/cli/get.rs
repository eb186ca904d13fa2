//! `choir get`: find out what is meant, ask for it, watch it come, tell what came.

mod album;
mod report;
mod target;
mod watch;

use std::cell::Cell;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout_at};

use self::report::{Outcome, Report};
use self::target::Wanted;
use self::watch::Watch;
use super::args::Get;
use super::context::{Context, Peer};
use super::progress::Bars;
use super::{share, songs};
use crate::api::client::Events;
use crate::api::types::{DownloadEvent, FileRow, NewDownload};
use crate::api::{Answer, ApiClient, ErrorBody, ErrorKind, Exit};
use crate::download::status::DownloadStatus;

pub(super) async fn run(context: &Context, get: Get) -> Answer<Exit> {
    let started = Cell::new(None);
    let outcome = context.with_peer(async |peer| fetch(context, peer, &get, &started).await).await;
    match (outcome, started.get()) {
        (Err(error), Some(outlives)) if error.code == ErrorKind::Interrupted => Err(error.hint(match outlives {
            Outlives::Command => "the download continues in the background: `choir downloads`",
            Outlives::Nothing => "what was fetched is kept for later: `choir get` goes on, `choir downloads` lists it",
        })),
        (outcome, _) => outcome,
    }
}

/// Whether the download goes on when the command has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outlives {
    Command,
    Nothing,
}

async fn fetch(context: &Context, peer: &Peer, get: &Get, started: &Cell<Option<Outlives>>) -> Answer<Exit> {
    let wanted = match target::resolve(context, &peer.client, get).await? {
        target::Found::Wanted(wanted) => wanted,
        target::Found::TooMany(rows) => return Ok(list(context, &rows)),
    };
    let begin = Instant::now();
    // Listening begins before asking, so that nothing is missed between the two.
    let mut events = peer.client.download_events().await?;
    events.next().await?;
    // Set before the answer: whoever gives up between the two has started it all the same.
    started.set(Some(if peer.outlives_the_command() { Outlives::Command } else { Outlives::Nothing }));
    let downloads = start(&peer.client, get, &wanted).await?;
    let ended = follow(context, &mut events, downloads, Duration::from_secs(get.wait)).await?;
    let outcomes: Vec<_> = ended.into_iter().map(|status| Outcome::of(status, peer.outlives_the_command())).collect();
    let Wanted { left_out, group, several, .. } = wanted;
    let report = Report { outcomes, left_out, group, seconds: begin.elapsed().as_secs_f64() };
    if several { Ok(report.show_all(&context.out)) } else { report.show_one(&context.out) }
}

async fn start(client: &ApiClient, get: &Get, wanted: &Wanted) -> Answer<Vec<DownloadStatus>> {
    let folder = get.out.as_deref().map(share::absolute).transpose()?;
    let new = wanted.files.iter().map(|file| NewDownload {
        file_id: file.file_id,
        name: file.name.clone(),
        folder: folder.clone(),
        subfolders: file.subfolders.clone(),
        template: get.template.as_ref().map(ToString::to_string),
        group: wanted.group.clone(),
        sources: file.sources.clone(),
        priority: get.priority,
        about: file.about.clone(),
    });
    client.download_start(new.collect()).await
}

/// Until all have ended, or nothing has come for as long as patience lasts and nothing is being tried.
async fn follow(
    context: &Context,
    events: &mut Events<DownloadEvent>,
    downloads: Vec<DownloadStatus>,
    patience: Duration,
) -> Answer<Vec<DownloadStatus>> {
    let bars = Bars::new(&context.out);
    let mut watch = Watch::new(downloads);
    let mut drawn = watch::Drawing::new(&bars);
    while !watch.has_ended() {
        drawn.draw(watch.downloads());
        let event = match watch.stuck_since(Instant::now()) {
            None => events.next().await?,
            Some(since) => match timeout_at(since + patience, events.next()).await {
                Ok(event) => event?,
                Err(_) => break,
            },
        };
        watch.apply(event);
    }
    drawn.finish();
    bars.clear();
    Ok(watch.into_downloads())
}

/// Several match, and nobody can be asked which is meant.
fn list(context: &Context, rows: &[FileRow]) -> Exit {
    let error = target::too_many(rows.len());
    if context.out.is_json() {
        let ErrorBody { error: body } = ErrorBody { error: error.clone() };
        context.out.error_with(&error, &json!({ "error": body, "results": rows }));
    } else {
        context.out.table(&songs::table(rows));
        context.out.error(&error);
    }
    error.exit()
}
