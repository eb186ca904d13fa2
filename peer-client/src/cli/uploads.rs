//! `choir uploads`

use choir_shared::text::escape_controls;

use super::args::Uploads as Action;
use super::context::Context;
use super::downloads::limit_in_words;
use super::table::{Align, Table};
use super::units;
use crate::api::types::{UploadState, UploadStatus, Uploads};
use crate::api::{Answer, Exit};

pub(super) async fn run(context: &Context, action: Option<Action>) -> Answer<Exit> {
    let uploads = context
        .with_peer(async |peer| match action {
            None | Some(Action::Ls) => peer.client.uploads().await,
            Some(Action::Limit { rate }) => peer.client.set_upload_limit(rate).await,
        })
        .await?;
    context.out.result(&uploads, |out| {
        out.message(limit_in_words(&uploads.limit, uploads.by_schedule));
        match (&action, uploads.uploads.is_empty()) {
            (Some(Action::Limit { .. }), _) => {}
            (_, true) => out.message("nobody fetches anything from here now"),
            (_, false) => out.table(&table(&uploads)),
        }
    });
    Ok(Exit::Done)
}

fn table(uploads: &Uploads) -> Table {
    let mut table = Table::new(&[
        ("Peer", Align::Left),
        ("File", Align::Elastic),
        ("State", Align::Left),
        ("Sent", Align::Right),
        ("Speed", Align::Right),
        ("Way", Align::Left),
    ]);
    for upload in &uploads.uploads {
        table.push([
            upload.name.clone().unwrap_or_else(|| upload.peer.short()),
            upload.file_name.clone().unwrap_or_default(),
            state(upload),
            units::size(upload.bytes),
            format!("{}/s", units::size(upload.bytes_per_second)),
            escape_controls(upload.path_kind.as_deref().unwrap_or_default()).into_owned(),
        ]);
    }
    table
}

fn state(upload: &UploadStatus) -> String {
    match (upload.state, upload.ahead) {
        (UploadState::Sending, _) => "sending".to_owned(),
        (UploadState::Queued, Some(ahead)) => format!("queued, {ahead} ahead"),
        (UploadState::Queued, None) => "queued".to_owned(),
    }
}
