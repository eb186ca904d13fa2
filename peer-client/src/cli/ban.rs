//! `choir ban` and `choir unban`

use super::context::Context;
use super::whois::called;
use crate::api::{Answer, Exit};

pub(super) async fn ban(context: &Context, name: &str) -> Answer<Exit> {
    let banned = context.with_peer(async |peer| peer.client.ban(name).await).await?;
    context.out.result(&banned, |out| {
        let who = called(banned.name.as_deref(), &banned.peer);
        out.line(format!("{who} is banned: nothing is served to it, nothing fetched from it"));
    });
    Ok(Exit::Done)
}

pub(super) async fn unban(context: &Context, name: &str) -> Answer<Exit> {
    let freed = context.with_peer(async |peer| peer.client.unban(name).await).await?;
    context.out.result(&freed, |out| {
        out.line(format!("{} is no longer banned", called(freed.name.as_deref(), &freed.peer)));
    });
    Ok(Exit::Done)
}
