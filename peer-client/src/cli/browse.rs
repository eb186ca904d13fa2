//! `choir browse PEER [PATH]`

use choir_shared::text::escape_controls;

use super::context::Context;
use super::last_search::LastSearch;
use super::output::{Output, Paint};
use super::whois::called;
use super::{songs, units};
use crate::api::types::BrowsePage;
use crate::api::{Answer, ApiClient, Exit};

/// Most pages of one folder. A page has some hundred files; a folder without end is a lie.
const MAX_PAGES: usize = 200;

pub(super) async fn run(context: &Context, peer_name: &str, path: &str) -> Answer<Exit> {
    let folder = context.with_peer(async |peer| whole_folder(&peer.client, peer_name, path).await).await?;
    LastSearch::write(&context.last_search(), &folder.files);
    context.out.message(called(folder.name.as_deref(), &folder.peer));
    context.out.result(&folder, |out| show(out, &folder));
    if folder.folders.is_empty() && folder.files.is_empty() {
        context.out.message("nothing is there");
        return Ok(Exit::NotFound);
    }
    Ok(Exit::Done)
}

/// All pages of a folder as one.
pub(super) async fn whole_folder(client: &ApiClient, peer: &str, path: &str) -> Answer<BrowsePage> {
    let mut folder = client.browse(peer, path, None).await?;
    // The name was asked for once; from then on it is this key.
    let key = folder.peer.to_string();
    for _ in 1..MAX_PAGES {
        let Some(cursor) = folder.next.take() else { break };
        let page = client.browse(&key, path, Some(&cursor)).await?;
        folder.files.extend(page.files);
        folder.next = page.next;
    }
    Ok(folder)
}

fn show(out: &Output, page: &BrowsePage) {
    for folder in &page.folders {
        let files = out.painted(Paint::Faint, &format!("({})", units::count(folder.files, "file")));
        out.line(format!("{}/  {files}", escape_controls(&folder.path)));
    }
    if !page.files.is_empty() {
        out.table(&songs::table(&page.files));
    }
}
