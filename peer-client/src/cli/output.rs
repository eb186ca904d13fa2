//! Where commands speak: data to stdout, everything else to stderr.
//!
//! - People and scripts get different texts, never a mixture: with `--json` stdout is one JSON object and nothing else.
//! - Colour and progress only where a terminal shows them; `NO_COLOR` and `TERM=dumb` are honoured.
//! - What cannot be written is dropped: `choir search x | head -1` ends quietly.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use choir_shared::text::escape_controls;
use serde::Serialize;

use super::args::Global;
use super::table::Table;
use crate::api::{ErrorBody, ServiceError};

/// The two ends of a command's speech, and what is known of who listens.
pub(super) struct Streams {
    pub(super) data: Box<dyn Write + Send>,
    pub(super) messages: Box<dyn Write + Send>,
    pub(super) data_is_terminal: bool,
    pub(super) messages_are_terminal: bool,
    /// Whether somebody can be asked.
    pub(super) input_is_terminal: bool,
    /// Whether the terminal is to be coloured.
    pub(super) colour: bool,
}

impl Streams {
    /// Of this process.
    pub(super) fn real() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        Self {
            data: Box::new(io::stdout()),
            messages: Box::new(io::stderr()),
            data_is_terminal: io::stdout().is_terminal(),
            messages_are_terminal: io::stderr().is_terminal(),
            input_is_terminal: io::stdin().is_terminal(),
            colour: variable("NO_COLOR").is_empty() && variable("TERM") != "dumb",
        }
    }
}

/// How a text is shown where colours are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Good,
    Bad,
    Warning,
    Faint,
}

impl Paint {
    /// SGR codes of ECMA-48.
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "31",
            Self::Warning => "33",
            Self::Faint => "2",
        }
    }
}

pub(super) struct Output {
    streams: Mutex<(Box<dyn Write + Send>, Box<dyn Write + Send>)>,
    json: bool,
    quiet: bool,
    data_is_terminal: bool,
    messages_are_terminal: bool,
    input_is_terminal: bool,
    colour: bool,
}

impl Output {
    pub(super) fn new(streams: Streams, global: &Global) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
            data_is_terminal: streams.data_is_terminal,
            messages_are_terminal: streams.messages_are_terminal,
            input_is_terminal: streams.input_is_terminal,
            colour: streams.colour,
            streams: Mutex::new((streams.data, streams.messages)),
        }
    }

    /// The result: `shape` for scripts, or the lines that `text` writes for people.
    pub(super) fn result(&self, shape: &impl Serialize, text: impl FnOnce(&Self)) {
        if self.json { self.json(shape) } else { text(self) }
    }

    /// One line of data for people. The caller has escaped what comes from others.
    pub(super) fn line(&self, line: impl AsRef<str>) {
        self.write(|(data, _)| writeln!(data, "{}", line.as_ref()));
    }

    /// Text as it is.
    pub(super) fn raw(&self, bytes: &[u8]) {
        self.write(|(data, _)| data.write_all(bytes));
    }

    pub(super) fn table(&self, table: &Table) {
        let mut lines = table.lines(self.data_width()).into_iter();
        if let Some(head) = lines.next() {
            self.line(self.painted(Paint::Faint, &head));
        }
        lines.for_each(|line| self.line(line));
    }

    /// The same among the messages, where a question follows.
    pub(super) fn table_of_choices(&self, table: &Table) {
        for line in table.lines(terminal_width(io::stderr()).filter(|_| self.messages_are_terminal)) {
            self.write(|(_, messages)| writeln!(messages, "{line}"));
        }
    }

    /// Something that people should know, and scripts need not.
    pub(super) fn message(&self, text: impl AsRef<str>) {
        if !self.quiet && !self.json {
            self.write(|(_, messages)| writeln!(messages, "{}", escape_controls(text.as_ref())));
        }
    }

    /// A question in our own words, without an end of line.
    pub(super) fn ask(&self, text: impl AsRef<str>) {
        self.write(|(_, messages)| write!(messages, "{}", text.as_ref()));
    }

    pub(super) fn error(&self, error: &ServiceError) {
        self.error_with(error, &ErrorBody { error: error.clone() });
    }

    /// An error whose JSON tells more than [`ErrorBody`].
    pub(super) fn error_with(&self, error: &ServiceError, shape: &impl Serialize) {
        if self.json {
            return self.json(shape);
        }
        let word = if self.colour && self.messages_are_terminal { "\x1b[31merror:\x1b[0m" } else { "error:" };
        let message = error.message.lines().map(escape_controls).collect::<Vec<_>>().join("\n");
        self.write(|(_, messages)| writeln!(messages, "{word} {message}"));
        if let Some(hint) = error.hint.as_ref().filter(|_| !self.quiet) {
            self.write(|(_, messages)| writeln!(messages, "  {}", escape_controls(hint)));
        }
    }

    /// `text` in colour if data goes to a terminal that has them.
    pub(super) fn painted(&self, paint: Paint, text: &str) -> String {
        if self.colour && self.data_is_terminal && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", paint.code())
        } else {
            text.to_owned()
        }
    }

    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    pub(super) const fn shows_progress(&self) -> bool {
        self.messages_are_terminal && !self.quiet && !self.json
    }

    /// Whether a question would be read and could be answered.
    pub(super) const fn can_ask(&self) -> bool {
        self.input_is_terminal && self.messages_are_terminal && !self.json
    }

    fn data_width(&self) -> Option<usize> {
        if self.data_is_terminal { terminal_width(io::stdout()) } else { None }
    }

    fn json(&self, shape: &impl Serialize) {
        match serde_json::to_string(shape) {
            Ok(json) => self.line(json),
            Err(error) => tracing::error!(%error, "a result has no JSON"),
        }
    }

    fn write(&self, write: impl FnOnce(&mut (Box<dyn Write + Send>, Box<dyn Write + Send>)) -> io::Result<()>) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = write(&mut streams);
        let _ = streams.0.flush();
    }
}

fn terminal_width(terminal: impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
