//! `GET /control`: the WebSocket. What is said over it is [`crate::control`]'s.

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::Response;
use choir_shared::control::MAX_MESSAGE_BYTES;
use choir_shared::index_api::ErrorCode;

use crate::auth::caller::Caller;
use crate::control;
use crate::error::ApiError;
use crate::index::Index;
use crate::limits::Limit;
use crate::origin::Connected;

/// Ten thousand of these are open at once. Messages are mostly below 1 KB; the default would be 128 KiB each.
const READ_BUFFER_BYTES: usize = 4 * 1024;

#[utoipa::path(get, path = "/control", responses((status = 101, description = "a WebSocket"), (status = 400)), security(("token" = [])))]
pub(super) async fn connect(
    State(index): State<Index>,
    caller: Caller,
    Extension(connected): Extension<Connected>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    caller.count(&index, Limit::Control)?;
    let upgrade = upgrade.map_err(|rejection| ApiError::because(ErrorCode::BadRequest, rejection.body_text()))?;
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_MESSAGE_BYTES)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES);
    // The connection's own task ends with the upgrade; from here on the tracker knows of it.
    let (tracker, giving_up) = (index.connections.clone(), index.giving_up.clone());
    Ok(upgrade.on_upgrade(move |socket| {
        let session = control::attend(index, caller, connected.permit, socket);
        tracker.track_future(async move {
            giving_up.run_until_cancelled_owned(session).await;
        })
    }))
}
