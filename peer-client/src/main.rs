//! `choir`: the peer. Everything happens in the library.

use std::process::ExitCode;

use anyhow::{Context as _, anyhow};

fn main() -> anyhow::Result<ExitCode> {
    choir_peer::allocator::keep_freed_memory();
    // Whatever speaks TLS later finds this provider, and there is no other.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow!("a TLS provider is there already"))?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let exit = runtime.block_on(choir_peer::cli::run(std::env::args_os()));
    // A question at the terminal that nobody answered would hold the process for ever.
    runtime.shutdown_background();
    Ok(exit)
}
