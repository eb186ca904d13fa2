//! `choir stop`

use std::time::Duration;

use serde_json::json;

use super::context::Context;
use crate::api::door::DoorFile;
use crate::api::{Answer, ErrorKind, Exit, ServiceError};

/// Time for the daemon to end its transfers and write its lists.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks whether the process is gone.
const LOOK: Duration = Duration::from_millis(50);

pub(super) async fn run(context: &Context) -> Answer<Exit> {
    let file = DoorFile::read(&context.home.api_file());
    let (Some(file), Some(client)) = (file, context.attach().await) else {
        context.out.result(&json!({ "stopped": false }), |out| out.message("no daemon runs here"));
        return Ok(Exit::Done);
    };
    client.stop().await?;
    let path = context.home.api_file();
    let gone = async {
        while file.is_alive() && DoorFile::read(&path).as_ref() == Some(&file) {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    };
    let late = |_| ServiceError::new(ErrorKind::Internal, format!("the daemon (process {}) does not end", file.pid));
    tokio::time::timeout(PATIENCE, context.interruptible(gone)).await.map_err(late)??;
    context.out.result(&json!({ "stopped": true }), |out| out.message("stopped"));
    Ok(Exit::Done)
}
