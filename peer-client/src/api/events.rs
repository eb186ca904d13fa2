//! Server-sent events: a stream of states as a body that does not end.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::future::ready;
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// Shows a reader that the daemon lives, and the daemon that the reader does.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Each item as one event: its number as `id`, its JSON as `data`. A stop of the server ends the stream.
pub(super) fn answer<T: Serialize>(
    items: impl Stream<Item = T> + Send + 'static,
    cancel: CancellationToken,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = items.enumerate().filter_map(|(number, item)| ready(event(number, &item).map(Ok)));
    Sse::new(events.take_until(cancel.cancelled_owned())).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

fn event(number: usize, item: &impl Serialize) -> Option<Event> {
    match serde_json::to_string(item) {
        Ok(json) => Some(Event::default().id(number.to_string()).data(json)),
        Err(error) => {
            tracing::error!(%error, "an event has no JSON");
            None
        }
    }
}
