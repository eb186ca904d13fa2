//! `choir index` and `choir leave`

use choir_shared::text::escape_controls;

use super::args::Index;
use super::context::Context;
use super::table::{Align, Table};
use crate::api::types::{IndexState, IndexStatus, Indexes};
use crate::api::{Answer, Exit};

pub(super) async fn run(context: &Context, action: Index) -> Answer<Exit> {
    match action {
        Index::Ls => list(context).await,
        Index::Rm { index } => leave(context, &index).await,
        Index::Default { index } => {
            let index = context.with_peer(async |peer| peer.client.set_default_index(&index).await).await?;
            context.out.result(&index, |out| out.line(format!("{} is asked first", escape_controls(&index.name))));
            Ok(Exit::Done)
        }
    }
}

pub(super) async fn leave(context: &Context, index: &str) -> Answer<Exit> {
    let index = context.with_peer(async |peer| peer.client.leave(index).await).await?;
    context.out.result(&index, |out| out.line(format!("left {}", escape_controls(&index.name))));
    Ok(Exit::Done)
}

async fn list(context: &Context) -> Answer<Exit> {
    let indexes = context.with_peer(async |peer| peer.client.indexes().await).await?;
    let shape = Indexes { indexes };
    context.out.result(&shape, |out| {
        if shape.indexes.is_empty() {
            out.message("no index is joined; `choir join LINK` joins one");
        } else {
            out.table(&table(&shape.indexes));
        }
    });
    Ok(Exit::Done)
}

pub(super) fn table(indexes: &[IndexStatus]) -> Table {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("Index", Align::Left),
        ("State", Align::Left),
        ("My name", Align::Left),
        ("URL", Align::Left),
        ("Why", Align::Elastic),
    ]);
    for index in indexes {
        table.push([
            if index.default { "*" } else { "" }.to_owned(),
            index.name.clone(),
            word(index.state).to_owned(),
            index.my_name.clone().unwrap_or_default(),
            index.url.clone(),
            index.reason.clone().unwrap_or_default(),
        ]);
    }
    table
}

const fn word(state: IndexState) -> &'static str {
    match state {
        IndexState::Online => "online",
        IndexState::Connecting => "connecting",
        IndexState::Unreachable => "unreachable",
        IndexState::Refused => "refused",
    }
}
