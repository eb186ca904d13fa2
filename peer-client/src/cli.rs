//! The command line: one file for each command, all of them clients of the local API.
//!
//! - [`args`] is what can be said; [`context`] what every command has: home, voice, the way to the daemon.
//! - [`output`] is the voice, with [`table`], [`width`], [`units`] and [`progress`] beneath it.
//! - Every command answers with an [`Exit`] or an error, which knows its exit code.
//!
//! Ctrl-C ends the command's wait at once and leaves everything in good order; a second one ends the process.

pub mod args;
mod ban;
mod browse;
mod choice;
mod completions;
mod config;
mod context;
mod daemon;
mod doctor;
mod downloads;
mod get;
mod hash;
mod id;
mod index;
mod join;
mod last_search;
mod name;
mod open;
mod output;
mod passphrase;
mod progress;
mod search;
mod share;
mod songs;
mod status;
mod stop;
mod table;
pub mod units;
mod uploads;
mod verify;
mod version;
mod whois;
mod width;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use self::args::{Arguments, Command, Global};
use self::context::Context;
use self::output::{Output, Streams};
use crate::api::{Answer, ErrorKind, Exit, ServiceError};
use crate::config::Home;

/// Runs the command that `arguments` ask for, the program's name first.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let interrupt = CancellationToken::new();
    let command = execute(arguments.into_iter().collect(), Streams::real(), interrupt.clone());
    let signals = || Some((signal(SignalKind::interrupt()).ok()?, signal(SignalKind::terminate()).ok()?));
    let Some(signals) = signals() else { return command.await.into() };
    tokio::select! {
        exit = command => exit.into(),
        exit = interrupted(signals, &interrupt) => exit.into(),
    }
}

/// Passes the first signal on; the second one ends the wait for the command.
async fn interrupted((mut interrupts, mut terminations): (Signal, Signal), interrupt: &CancellationToken) -> Exit {
    for _ in 0..2 {
        tokio::select! {
            _ = interrupts.recv() => {}
            _ = terminations.recv() => {}
        }
        if interrupt.is_cancelled() {
            break;
        }
        interrupt.cancel();
    }
    Exit::Interrupted
}

async fn execute(arguments: Vec<OsString>, streams: Streams, interrupt: CancellationToken) -> Exit {
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error, wants_json, streams),
    };
    tell_log(&arguments.global);
    let Global { home, indexes, .. } = arguments.global.clone();
    let out = Output::new(streams, &arguments.global);
    let home = match Home::find(home.as_deref()) {
        Ok(home) => home,
        Err(error) => return failed(&out, &ServiceError::new(ErrorKind::Usage, error.to_string())),
    };
    let context = Context { home, indexes, out, interrupt };
    match dispatch(&context, arguments.command).await {
        Ok(exit) => exit,
        Err(error) => failed(&context.out, &error),
    }
}

async fn dispatch(context: &Context, command: Command) -> Answer<Exit> {
    match command {
        Command::Join(join) => join::run(context, join).await,
        Command::Leave { index } => index::leave(context, &index).await,
        Command::Index(action) => index::run(context, action).await,
        Command::Name { new } => name::run(context, new).await,
        Command::Id { action } => id::run(context, action).await,
        Command::Daemon(options) => daemon::run(context, options).await,
        Command::Stop => stop::run(context).await,
        Command::Open { print } => open::run(context, print).await,
        Command::Status => status::run(context).await,
        Command::Doctor { peer } => doctor::run(context, peer).await,
        Command::Share(action) => share::run(context, action).await,
        Command::Search(search) => search::run(context, search).await,
        Command::Get(get) => get::run(context, get).await,
        Command::Downloads { action } => downloads::run(context, action).await,
        Command::Uploads { action } => uploads::run(context, action).await,
        Command::Browse { peer, path } => browse::run(context, &peer, &path).await,
        Command::Whois { peer } => whois::run(context, &peer).await,
        Command::Ban { peer } => ban::ban(context, &peer).await,
        Command::Unban { peer } => ban::unban(context, &peer).await,
        Command::Hash { files } => hash::run(context, files).await,
        Command::Verify { file, file_id } => verify::run(context, file, file_id).await,
        Command::Config(action) => config::run(context, &action),
        Command::Completions { shell } => completions::run(context, shell),
        Command::Version => version::run(context),
    }
}

fn failed(out: &Output, error: &ServiceError) -> Exit {
    out.error(error);
    error.exit()
}

/// Help and version are answers; everything else that clap says is an error.
fn explain(error: &clap::Error, json: bool, mut streams: Streams) -> Exit {
    if !error.use_stderr() {
        let text = if streams.colour && streams.data_is_terminal {
            error.render().ansi().to_string()
        } else {
            error.render().to_string()
        };
        let _ = streams.data.write_all(text.as_bytes());
        return Exit::Done;
    }
    if json {
        let global = Global { home: None, indexes: Vec::new(), json, quiet: false, verbose: 0 };
        let text = error.render().to_string();
        let message = text.strip_prefix("error: ").unwrap_or(&text).trim();
        let refusal = ServiceError::new(ErrorKind::Usage, message).hint("`choir --help` tells what can be said");
        Output::new(streams, &global).error(&refusal);
    } else {
        let coloured = streams.colour && streams.messages_are_terminal;
        let text = if coloured { error.render().ansi().to_string() } else { error.render().to_string() };
        let _ = streams.messages.write_all(text.as_bytes());
    }
    Exit::Usage
}

/// The log goes to stderr, warnings only unless more is asked for.
fn tell_log(global: &Global) {
    let filter = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "warn,choir_peer=info",
        (_, 2) => "info,choir_peer=debug",
        (_, _) => "debug,choir_peer=trace",
    };
    // A second one in the same process (the tests) stays without a log.
    let _ = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_writer(std::io::stderr).try_init();
}
