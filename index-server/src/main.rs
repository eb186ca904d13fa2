//! The program `choir-index`.

use std::process::ExitCode;

use anyhow::Context as _;
use choir_index::maintenance::{self, State};
use choir_index::settings::{Command, LogSettings, command};
use choir_index::{admin, observe, run};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    // Before anything else: with no provider, or with two, rustls panics when it is first used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match obey().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("choir-index: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn obey() -> anyhow::Result<ExitCode> {
    match command(std::env::args_os())? {
        Command::Ask { data_dir, question } => println!("{}", admin::ask(&data_dir, &question).await?),
        Command::Maintain { data_dir, database, task } => {
            observe::log(&LogSettings::default()).context("cannot log")?;
            let outcome = maintenance::perform(&data_dir, &database, &task).await?;
            println!("{}", outcome.text);
            return Ok(if outcome.state == State::Sound { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Run(settings) => {
            observe::log(&settings.log).context("cannot write the log file")?;
            let shutdown = CancellationToken::new();
            let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
            let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
            let index = run(*settings, |ready| print!("{ready}"), shutdown.clone());
            let signals = async {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                shutdown.cancel();
            };
            // A failed start must not wait for a signal.
            tokio::pin!(index);
            tokio::select! {
                ended = &mut index => ended?,
                () = signals => index.await?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
