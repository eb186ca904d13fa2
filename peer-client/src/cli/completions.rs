//! `choir completions SHELL`

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Arguments;
use super::context::Context;
use crate::api::{Answer, Exit};

pub(super) fn run(context: &Context, shell: Shell) -> Answer<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "choir", &mut script);
    context.out.raw(&script);
    Ok(Exit::Done)
}
