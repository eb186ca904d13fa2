//! `choir daemon`

use super::args::Daemon;
use super::context::Context;
use crate::api::{Answer, ErrorKind, Exit, ServiceError};
use crate::config::Flag;
use crate::daemon::{self, Options, Ready};

pub(super) async fn run(context: &Context, daemon: Daemon) -> Answer<Exit> {
    if let Some(client) = context.attach().await {
        let error = ServiceError::new(ErrorKind::Conflict, format!("a daemon runs here already, at {}", client.url()));
        return Err(error.hint("`choir stop` ends it; `--home DIR` keeps two peers apart"));
    }
    let flag = |key, value: Option<std::net::SocketAddr>| value.map(|value| Flag { key, value: value.to_string() });
    let flags: Vec<_> = [flag("listen", daemon.listen), flag("api", daemon.api)].into_iter().flatten().collect();
    let settings = context.settings(&flags)?;
    let wished = [settings.api.value.port(), settings.listen.value.port()];
    let ready = |ready: Ready| {
        // Scripts wait for this line, so it comes first and is the same with `--json`.
        context.out.line(format!("web page and API on http://{}", ready.api));
        for (wish, got) in wished.into_iter().zip([ready.api.port(), ready.listen.port()]) {
            if wish != 0 && wish != got {
                context.out.message(format!("port {wish} is taken, {got} serves instead"));
            }
        }
        context.out.message(format!("other peers reach this one on udp {}; `choir open` shows the page", ready.listen));
    };
    let options = Options { home: context.home.clone(), settings, indexes: context.indexes.clone() };
    daemon::run(options, ready, context.interrupt.clone()).await?;
    Ok(Exit::Done)
}
