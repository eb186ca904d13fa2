//! `choir status`

use super::context::Context;
use super::output::{Output, Paint};
use super::{index, units};
use crate::api::types::{Reachability, Status};
use crate::api::{Answer, Exit};

pub(super) async fn run(context: &Context) -> Answer<Exit> {
    let status = context
        .with_peer(async |peer| {
            if !peer.outlives_the_command() {
                context.out.message("no daemon runs here: others cannot reach this peer (`choir daemon` stays online)");
            }
            peer.client.status().await
        })
        .await?;
    context.out.result(&status, |out| show(out, &status));
    Ok(Exit::Done)
}

fn show(out: &Output, status: &Status) {
    out.line(format!("peer       {}", status.peer_id));
    out.line(format!("version    {}", status.version));
    out.line(format!(
        "reachable  {}",
        status.reachability_message.as_deref().unwrap_or_else(|| words(status.reachability))
    ));
    let shared = &status.shared;
    let hashing = if shared.hashing > 0 { format!(", {} still to be read", shared.hashing) } else { String::new() };
    out.line(format!("shared     {}, {}{hashing}", units::count(shared.files, "file"), units::size(shared.bytes)));
    for folder in &shared.missing_folders {
        let note = format!("{} is not there now", folder.display());
        out.line(format!("           {}", out.painted(Paint::Warning, &choir_shared::text::escape_controls(&note))));
    }
    let transfer = |count, bytes| format!("{count} at {}/s", units::size(bytes));
    out.line(format!("downloads  {}", transfer(status.downloads, status.download_bytes_per_second)));
    out.line(format!("uploads    {}", transfer(status.uploads, status.upload_bytes_per_second)));
    if status.indexes.is_empty() {
        out.message("no index is joined; `choir join LINK` joins one");
    } else {
        out.line("");
        out.table(&index::table(&status.indexes));
    }
}

const fn words(reachability: Reachability) -> &'static str {
    match reachability {
        Reachability::Unknown => "not known yet",
        Reachability::ThisMachine => "from this machine",
        Reachability::Public => "directly, from everywhere",
        Reachability::PortMapped => "directly, through a port that the router opened",
        Reachability::Cone => "directly by most, after an introduction",
        Reachability::Symmetric => "directly by some, through the index by others",
        Reachability::Blocked => "through the index only: UDP does not get out",
    }
}
