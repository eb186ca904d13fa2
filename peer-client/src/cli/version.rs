//! `choir version`

use serde_json::json;

use super::context::Context;
use crate::api::{Answer, Exit};

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn run(context: &Context) -> Answer<Exit> {
    context.out.result(&json!({ "version": VERSION }), |out| out.line(format!("choir {VERSION}")));
    Ok(Exit::Done)
}
