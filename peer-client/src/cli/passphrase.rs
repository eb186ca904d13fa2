//! Secrets are typed without being shown, or come in on stdin; never in arguments, which every user can see.

use std::io;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::choice::read_line;
use super::context::Context;
use crate::api::{Answer, ErrorKind, ServiceError};

/// A passphrase that is already there.
pub(super) async fn ask(context: &Context) -> Answer<String> {
    question(context, "Passphrase: ").await
}

/// A new one. At a terminal it is typed twice, because nobody sees what was typed.
pub(super) async fn choose(context: &Context) -> Answer<String> {
    let chosen = question(context, "New passphrase: ").await?;
    if context.out.can_ask() && question(context, "Again: ").await? != chosen {
        return Err(ServiceError::new(ErrorKind::Usage, "the two passphrases differ"));
    }
    Ok(chosen)
}

async fn question(context: &Context, question: &str) -> Answer<String> {
    if !context.out.can_ask() {
        return context.interruptible(read_line()).await;
    }
    // Hidden before it is asked for: nothing that is typed quickly shows, or is lost in the change.
    let hidden = Hidden::start();
    context.out.ask(question);
    let line = context.interruptible(read_line()).await;
    drop(hidden);
    context.out.ask("\n");
    line
}

/// The terminal does not show what is typed while this exists.
struct Hidden(Termios);

impl Hidden {
    fn start() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet).ok()?;
        Some(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
