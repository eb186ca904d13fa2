//! `choir whois PEER`

use choir_shared::PeerId;
use choir_shared::text::escape_controls;

use super::context::Context;
use super::output::{Output, Paint};
use super::units;
use crate::api::types::Whois;
use crate::api::{Answer, Exit};

pub(super) async fn run(context: &Context, name: &str) -> Answer<Exit> {
    let whois = context.with_peer(async |peer| peer.client.whois(name).await).await?;
    context.out.result(&whois, |out| show(out, &whois));
    Ok(Exit::Done)
}

fn show(out: &Output, whois: &Whois) {
    let state = if whois.online { out.painted(Paint::Good, "online") } else { out.painted(Paint::Faint, "offline") };
    out.line(format!("{}  {state}", escape_controls(whois.name.as_deref().unwrap_or("(no name)"))));
    out.line(format!("  key      {}", whois.peer));
    out.line(format!("  shares   {}, {}", units::count(whois.files, "file"), units::size(whois.bytes)));
    if !whois.indexes.is_empty() {
        out.line(format!("  seen at  {}", escape_controls(&whois.indexes.join(", "))));
    }
    if !whois.browsable {
        out.line("  does not let others browse");
    }
    if whois.banned {
        out.line(format!("  {}", out.painted(Paint::Bad, "banned here")));
    }
}

/// `Bob (rkeohx…n5oa)`, with the whole key: the name as it is registered shows who a typed name was taken for, and the
/// key is what stays when names change hands.
pub(super) fn called(name: Option<&str>, peer: &PeerId) -> String {
    match name {
        Some(name) => format!("{} ({peer})", escape_controls(name)),
        None => peer.to_string(),
    }
}
