//! `choir share`

use std::path::{Path, PathBuf};
use std::time::Duration;

use choir_shared::text::escape_controls;
use serde_json::json;
use tokio::time::Instant;

use super::args::Share;
use super::context::{Context, Peer};
use super::output::Output;
use super::progress::Bars;
use super::table::{Align, Table};
use super::units;
use crate::api::types::{FolderState, FolderStatus, Folders, LeftOut, ScanPhase, ShareAdd, ShareAdded};
use crate::api::{Answer, ApiClient, ErrorKind, Exit, ServiceError};

/// How long publishing may be held up, by an index that restarts for one, before the command gives up waiting.
const BLOCKED_PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(context: &Context, action: Share) -> Answer<Exit> {
    match action {
        Share::Add { folders, to, alias, wait } => {
            if alias.is_some() && folders.len() > 1 {
                return Err(ServiceError::new(ErrorKind::Usage, "--as names one folder, and there are several"));
            }
            let add =
                |path: &PathBuf| Ok(ShareAdd { path: absolute(path)?, collection: to.clone(), alias: alias.clone() });
            add_all(context, folders.iter().map(add).collect::<Answer<_>>()?, wait).await
        }
        Share::Rm { folder } => remove(context, &folder).await,
        Share::Ls => list(context).await,
        Share::Rescan { wait } => rescan(context, wait).await,
    }
}

async fn add_all(context: &Context, adds: Vec<ShareAdd>, wait: bool) -> Answer<Exit> {
    let added = context
        .with_peer(async |peer| {
            let mut added = Vec::new();
            for add in &adds {
                added.push(peer.client.share_add(add).await?);
            }
            if finish(context, peer, wait).await? == Finished::Yes {
                tell_as_it_is(&peer.client, &mut added).await?;
            }
            Ok(added)
        })
        .await?;
    match added.as_slice() {
        [one] => context.out.result(one, |out| show_added(out, one)),
        all => context.out.result(&json!({ "folders": all }), |out| all.iter().for_each(|one| show_added(out, one))),
    }
    Ok(Exit::Done)
}

/// What was told when the folders were added is what was seen in them; what is wrong with a file shows when it is read.
async fn tell_as_it_is(client: &ApiClient, added: &mut [ShareAdded]) -> Answer<()> {
    for folder in client.folders().await? {
        for one in added.iter_mut().filter(|one| one.alias == folder.alias) {
            (one.files, one.bytes, one.left_out) = (folder.files, folder.bytes, folder.left_out.clone());
        }
    }
    Ok(())
}

/// Whether all files were read and published while the command ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finished {
    Yes,
    ByTheDaemon,
}

/// Waits if that was asked for, or if nobody else would finish the work.
async fn finish(context: &Context, peer: &Peer, wait: bool) -> Answer<Finished> {
    if peer.outlives_the_command() && !wait {
        context.out.message("the daemon reads and publishes the files now; `choir status` shows how far it is");
        return Ok(Finished::ByTheDaemon);
    }
    until_published(context, &peer.client).await?;
    if !peer.outlives_the_command() {
        context
            .out
            .message("published, but nobody can fetch anything while nothing runs here: `choir daemon` stays online");
    }
    Ok(Finished::Yes)
}

async fn until_published(context: &Context, client: &ApiClient) -> Answer<()> {
    let mut events = client.scan_events().await?;
    let bars = Bars::new(&context.out);
    let bar = bars.add("looking for files", 0);
    let mut blocked: Option<(Instant, ServiceError)> = None;
    let outcome = loop {
        let event = match &blocked {
            None => events.next().await,
            Some((since, error)) => match tokio::time::timeout_at(*since + BLOCKED_PATIENCE, events.next()).await {
                Ok(event) => event,
                Err(_) => break Err(error.clone()),
            },
        };
        let scan = match event {
            Ok(scan) => scan,
            Err(error) => break Err(error),
        };
        let note = match scan.phase {
            ScanPhase::Idle => break Ok(()),
            ScanPhase::Walking => "looking for files".to_owned(),
            ScanPhase::Hashing => scan.current.unwrap_or_default(),
            ScanPhase::Publishing => "telling the indexes".to_owned(),
        };
        bar.set(scan.bytes_done, scan.bytes_total, &note);
        let since = blocked.map_or_else(Instant::now, |(since, _)| since);
        blocked = scan.blocked.map(|error| (since, error));
    };
    bar.finish();
    bars.clear();
    outcome
}

async fn remove(context: &Context, folder: &Path) -> Answer<Exit> {
    // An alias is no path: the daemon looks for both.
    let folder = if folder.exists() { absolute(folder)? } else { folder.to_owned() };
    let removed = context
        .with_peer(async |peer| {
            let removed = peer.client.share_remove(&folder).await?;
            if !peer.outlives_the_command() {
                until_published(context, &peer.client).await?;
            }
            Ok(removed)
        })
        .await?;
    context.out.result(&removed, |out| {
        let path = removed.folder.to_string_lossy();
        out.line(format!("{}  is no longer shared ({})", escape_controls(&path), units::count(removed.files, "file")));
    });
    Ok(Exit::Done)
}

async fn rescan(context: &Context, wait: bool) -> Answer<Exit> {
    let folders = context
        .with_peer(async |peer| {
            peer.client.rescan().await?;
            finish(context, peer, wait).await?;
            peer.client.folders().await
        })
        .await?;
    show_folders(context, folders);
    Ok(Exit::Done)
}

async fn list(context: &Context) -> Answer<Exit> {
    let folders = context.with_peer(async |peer| peer.client.folders().await).await?;
    show_folders(context, folders);
    Ok(Exit::Done)
}

fn show_folders(context: &Context, folders: Vec<FolderStatus>) {
    let shape = Folders { folders };
    context.out.result(&shape, |out| {
        if shape.folders.is_empty() {
            out.message("nothing is shared; `choir share add DIR` shares a folder");
        } else {
            out.table(&table(&shape.folders));
        }
    });
}

fn table(folders: &[FolderStatus]) -> Table {
    let mut table = Table::new(&[
        ("Folder", Align::Elastic),
        ("Others see", Align::Left),
        ("Collection", Align::Left),
        ("Files", Align::Right),
        ("Size", Align::Right),
        ("Left out", Align::Elastic),
        ("State", Align::Left),
    ]);
    for folder in folders {
        let state = match folder.state {
            FolderState::Ready => "",
            FolderState::Scanning => "being read",
            FolderState::Missing => "not there now",
        };
        table.push([
            folder.folder.to_string_lossy().into_owned(),
            folder.alias.clone(),
            folder.collection.clone(),
            folder.files.to_string(),
            units::size(folder.bytes),
            reasons(&folder.left_out),
            state.to_owned(),
        ]);
    }
    table
}

fn show_added(out: &Output, added: &ShareAdded) {
    let path = added.folder.to_string_lossy();
    let files = units::count(added.files, "file");
    out.line(format!("{}  {files}, {}", escape_controls(&path), units::size(added.bytes)));
    if !added.left_out.is_empty() {
        out.message(format!("  left out: {}", reasons(&added.left_out)));
    }
}

/// `12 hidden, 3 not audio`
pub(super) fn reasons(left_out: &[LeftOut]) -> String {
    left_out.iter().map(|left| format!("{} {}", left.count, left.reason)).collect::<Vec<_>>().join(", ")
}

/// The daemon has another current folder than this command.
pub(super) fn absolute(path: &Path) -> Answer<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| ServiceError::new(ErrorKind::Usage, format!("{}: {error}", path.display())))
}
