//! `choir verify FILE FILE_ID`

use std::path::PathBuf;

use choir_shared::FileId;
use choir_shared::text::escape_controls;
use serde_json::json;

use super::context::Context;
use super::hash::file_id;
use super::output::Paint;
use crate::api::{Answer, ErrorKind, Exit, ServiceError};

pub(super) async fn run(context: &Context, file: PathBuf, expected: FileId) -> Answer<Exit> {
    let found = file_id(context, &file).await?;
    if found != expected {
        return Err(ServiceError::new(ErrorKind::Integrity, format!("{} is another file: {found}", file.display())));
    }
    context.out.result(&json!({ "path": file, "file_id": found, "ok": true }), |out| {
        out.line(format!("{}  {}", out.painted(Paint::Good, "ok"), escape_controls(&file.to_string_lossy())));
    });
    Ok(Exit::Done)
}
