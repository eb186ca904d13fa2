//! `choir downloads`

mod one;

use super::args::{Downloads as Action, Which};
use super::context::Context;
use super::table::{Align, Table};
use super::units;
use crate::api::types::{DownloadAction, Downloads};
use crate::api::{Answer, ApiClient, ErrorKind, Exit, ServiceError};
use crate::config::Rate;
use crate::download::group::GroupStatus;
use crate::download::priority::Priority;
use crate::download::status::{DownloadId, DownloadStatus, State};

pub(super) async fn run(context: &Context, action: Option<Action>) -> Answer<Exit> {
    let (change, which) = match action {
        None | Some(Action::Ls) => return list(context).await,
        Some(Action::Show { id }) => return one::show(context, DownloadId(id)).await,
        Some(Action::Take { id, file }) => return one::take(context, DownloadId(id), &file).await,
        Some(Action::Priority { ids, priority }) => return prioritise(context, ids, priority).await,
        Some(Action::Limit { rate }) => return limit(context, rate).await,
        Some(Action::Pause(which)) => (DownloadAction::Pause, which),
        Some(Action::Resume(which)) => (DownloadAction::Resume, which),
        Some(Action::Cancel(which)) => (DownloadAction::Cancel, which),
        Some(Action::Retry(which)) => (DownloadAction::Retry, which),
    };
    let downloads = context
        .with_peer(async |peer| {
            let mut changed = Vec::new();
            for id in ids(&peer.client, which, change).await? {
                changed.push(peer.client.download_change(id, change).await?);
            }
            Ok(changed)
        })
        .await?;
    show(context, &Downloads::of(downloads));
    Ok(Exit::Done)
}

/// Which downloads are meant. Of a group those that are missing, as far as the change has a meaning for them.
async fn ids(client: &ApiClient, which: Which, change: DownloadAction) -> Answer<Vec<DownloadId>> {
    let Some(name) = which.group else { return Ok(which.ids.into_iter().map(DownloadId).collect()) };
    let groups = client.downloads().await?.groups;
    let group = groups.into_iter().find(|group| group.group == name).ok_or_else(|| {
        ServiceError::new(ErrorKind::NotFound, format!("no downloads belong to a group {name}"))
            .hint("`choir downloads` names the groups")
    })?;
    let meant = |state: State| match change {
        DownloadAction::Retry | DownloadAction::Resume => true,
        DownloadAction::Pause => !state.is_final() && state != State::Paused,
        DownloadAction::Cancel => state != State::Cancelled,
    };
    Ok(group.missing.into_iter().filter(|file| meant(file.state)).map(|file| file.id).collect())
}

async fn prioritise(context: &Context, ids: Vec<i64>, priority: Priority) -> Answer<Exit> {
    let downloads = context
        .with_peer(async |peer| {
            let mut changed = Vec::new();
            for id in ids {
                changed.push(peer.client.download_priority(DownloadId(id), priority).await?);
            }
            Ok(changed)
        })
        .await?;
    show(context, &Downloads::of(downloads));
    Ok(Exit::Done)
}

async fn limit(context: &Context, rate: Option<Rate>) -> Answer<Exit> {
    let shown = context
        .with_peer(async |peer| match rate {
            Some(rate) => peer.client.set_download_limit(rate).await,
            None => peer.client.download_limit().await,
        })
        .await?;
    context.out.result(&shown, |out| out.message(limit_in_words(&shown.limit, shown.by_schedule)));
    Ok(Exit::Done)
}

pub(super) fn limit_in_words(limit: &str, by_schedule: bool) -> String {
    if by_schedule { format!("limit: {limit}, by limit_schedule at this time") } else { format!("limit: {limit}") }
}

async fn list(context: &Context) -> Answer<Exit> {
    let downloads = context.with_peer(async |peer| peer.client.downloads().await).await?;
    show(context, &downloads);
    for group in &downloads.groups {
        context.out.message(in_words(group));
    }
    Ok(Exit::Done)
}

fn show(context: &Context, shape: &Downloads) {
    context.out.result(shape, |out| {
        if shape.downloads.is_empty() {
            out.message("no downloads; `choir get` starts one");
        } else {
            out.table(&table(&shape.downloads));
        }
    });
}

/// `Post: 9 of 11 files are here, 2 are missing`
fn in_words(group: &GroupStatus) -> String {
    let GroupStatus { group, total, done, missing } = group;
    match missing.len() {
        0 => format!("{group}: all of {} here", units::count(*total as u64, "file")),
        missing => format!("{group}: {done} of {} here, {missing} missing", units::count(*total as u64, "file")),
    }
}

fn table(downloads: &[DownloadStatus]) -> Table {
    let mut table = Table::new(&[
        ("ID", Align::Right),
        ("File", Align::Elastic),
        ("State", Align::Left),
        ("Done", Align::Right),
        ("Size", Align::Right),
        ("Speed", Align::Right),
        ("Sources", Align::Right),
        ("Why", Align::Elastic),
    ]);
    for download in downloads {
        let rate = download.bytes_per_second;
        table.push([
            download.id.0.to_string(),
            download.name.clone(),
            match download.priority {
                Priority::Normal => word(download.state).to_owned(),
                priority => format!("{}, {priority}", word(download.state)),
            },
            format!("{} %", download.bytes_done.saturating_mul(100) / download.size.max(1)),
            units::size(download.size),
            if rate > 0 { format!("{}/s", units::size(rate)) } else { String::new() },
            download.sources.len().to_string(),
            download.message.clone().unwrap_or_default(),
        ]);
    }
    table
}

pub(super) const fn word(state: State) -> &'static str {
    match state {
        State::Searching => "searching",
        State::Connecting => "connecting",
        State::Queued => "queued",
        State::Downloading => "downloading",
        State::Verifying => "verifying",
        State::Paused => "paused",
        State::Waiting => "waiting",
        State::Done => "done",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
    }
}
