//! `choir name [NEW]`

use choir_shared::text::escape_controls;
use serde_json::json;

use super::context::Context;
use super::output::Output;
use crate::api::types::IndexStatus;
use crate::api::{Answer, ErrorKind, Exit, ServiceError};

pub(super) async fn run(context: &Context, new: Option<String>) -> Answer<Exit> {
    let indexes = context
        .with_peer(async |peer| match &new {
            Some(name) => peer.client.rename(name).await,
            None => peer.client.indexes().await,
        })
        .await?;
    if indexes.is_empty() {
        let error = ServiceError::new(ErrorKind::NotFound, "a name belongs to an index, and none is joined");
        return Err(error.hint("`choir join LINK` joins one"));
    }
    let names: Vec<_> = indexes.iter().map(|index| json!({ "index": index.name, "name": index.my_name })).collect();
    context.out.result(&json!({ "names": names }), |out| indexes.iter().for_each(|index| show(out, index)));
    Ok(Exit::Done)
}

fn show(out: &Output, index: &IndexStatus) {
    let name = index.my_name.as_deref().unwrap_or("(no name)");
    out.line(format!("{}  at {}", escape_controls(name), escape_controls(&index.name)));
}
