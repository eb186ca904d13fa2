//! `choir join LINK`: shows who the index is before this peer becomes a member.

use choir_shared::index_api::Access;
use choir_shared::text::escape_controls;

use super::args;
use super::choice;
use super::context::Context;
use crate::api::types::{IndexPreview, Join};
use crate::api::{Answer, Exit};

pub(super) async fn run(context: &Context, join: args::Join) -> Answer<Exit> {
    let joined = context
        .with_peer(async |peer| {
            let preview = peer.client.index_preview(&join.link).await?;
            introduce(context, &preview);
            let name = match &join.name {
                Some(name) => Some(name.clone()),
                None => ask_name(context).await?,
            };
            peer.client.join(&Join { link: join.link.clone(), name }).await
        })
        .await?;
    context.out.result(&joined, |out| {
        let name = joined.my_name.as_deref().map(|name| format!(" as {}", escape_controls(name))).unwrap_or_default();
        out.line(format!("joined {}{name}", escape_controls(&joined.name)));
        out.message(
            "`choir share add DIR` shares a folder, `choir daemon` stays online, `choir search WORDS` searches",
        );
    });
    Ok(Exit::Done)
}

fn introduce(context: &Context, index: &IndexPreview) {
    let out = &context.out;
    let access = match index.access {
        Access::Invite => "members by invite",
        Access::Open => "open to anyone",
        Access::Closed => "closed to new members",
        Access::Other => "members in a way that a later version of choir knows",
    };
    out.message(format!("{} ({}), {access}", index.name, index.url));
    let seen = if index.key_from_link { "as the link says" } else { "first seen now, and expected from now on" };
    out.message(format!("  key      {} ({seen})", index.key));
    for (label, text) in [("contact", &index.contact), ("rules", &index.rules), ("today", &index.message_of_the_day)] {
        for line in text.iter().flat_map(|text| text.lines()) {
            out.message(format!("  {label:<8} {line}"));
        }
    }
    if index.joined {
        out.message("  this peer is a member already");
    }
}

/// A name is a choice: without a terminal nobody is asked and the settings decide.
async fn ask_name(context: &Context) -> Answer<Option<String>> {
    if !context.out.can_ask() {
        return Ok(None);
    }
    context.out.ask("Which name shall others see? (empty: none) ");
    let name = choice::read_line().await?;
    Ok(Some(name).filter(|name| !name.is_empty()))
}
