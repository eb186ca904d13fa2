//! `choir open`
//!
//! The address holds the secret that opens the page, and every user of the machine sees the arguments of every
//! process. So the browser is given a private file that leads there.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use super::context::Context;
use crate::api::{Answer, ErrorKind, Exit, ServiceError};

/// What opens a file as the desktop wants it.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

pub(super) async fn run(context: &Context, print: bool) -> Answer<Exit> {
    let Some(client) = context.attach().await else {
        return Err(
            ServiceError::new(ErrorKind::DaemonUnreachable, "no daemon runs here").hint("`choir daemon` starts one")
        );
    };
    let page = client.page();
    if print {
        context.out.result(&json!({ "url": page }), |out| out.line(&page));
        return Ok(Exit::Done);
    }
    let path = context.home.api_file().with_file_name("open.html");
    let opened = write_redirect(&path, &page).and_then(|()| open(&path));
    opened.map_err(|error| {
        ServiceError::new(ErrorKind::Internal, format!("no browser opens: {error}"))
            .hint("`choir open --print` prints the address")
    })?;
    context.out.result(&json!({ "url": client.url() }), |out| out.message(format!("the page is at {}", client.url())));
    Ok(Exit::Done)
}

fn write_redirect(path: &Path, page: &str) -> io::Result<()> {
    // The address has letters, digits and `:/.#=[]` only: nothing that HTML would take for its own.
    let html = format!(
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=\"0;url={page}\"><title>Choir</title>"
    );
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".open-").tempfile_in(folder)?;
    file.write_all(html.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

fn open(path: &Path) -> io::Result<()> {
    let mut opener = std::process::Command::new(OPENER);
    let status = opener.arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{OPENER} failed"))) }
}
