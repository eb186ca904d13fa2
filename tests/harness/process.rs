//! Programs that run beside a test and end with it.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::PATIENCE;

/// Every program that was started and not yet waited for; [`stop_all`] empties it for good.
static RUNNING: Mutex<Option<BTreeSet<u32>>> = Mutex::new(Some(BTreeSet::new()));

/// Ends every program that was started here, and lets no other start. For a program about to exit.
pub fn stop_all() {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
    for pid in running.into_iter().filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// A running program. Dropping it ends it.
pub struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    errors: Arc<Mutex<String>>,
}

impl Process {
    /// # Panics
    /// If the program cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let pids = running.as_mut().unwrap_or_else(|| panic!("{name} is not started: all is being stopped"));
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        pids.insert(child.id());
        drop(running);
        // Both readers end when the program closes its ends of the pipes, at the latest when it ends.
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("piped above");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let errors = Arc::new(Mutex::new(String::new()));
        let (stderr, collected) = (child.stderr.take().expect("piped above"), Arc::clone(&errors));
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut all = collected.lock().unwrap_or_else(PoisonError::into_inner);
                all.push_str(&line);
                all.push('\n');
            }
        });
        Self { name: name.to_owned(), child, lines, errors }
    }

    /// The next line of standard output.
    ///
    /// # Panics
    /// If the program ends or is silent for [`PATIENCE`].
    pub fn line(&self) -> String {
        self.lines
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("{} said nothing; its errors:\n{}", self.name, self.errors()))
    }

    /// The newest line of standard output; waits for one that was not read yet.
    ///
    /// # Panics
    /// As [`line`](Self::line).
    pub fn last_line(&self) -> String {
        self.lines.try_iter().last().unwrap_or_else(|| self.line())
    }

    /// What the program wrote to standard error so far.
    pub fn errors(&self) -> String {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as Ctrl-C does, and waits.
    pub fn interrupt(&mut self) -> ExitStatus {
        self.signal(Signal::INT);
        self.wait()
    }

    /// Ends it without a chance to tidy up, as a power cut does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// # Panics
    /// If it does not end within [`PATIENCE`].
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not end; its errors:\n{}", self.name, self.errors());
            thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(running) = &mut *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) {
            running.remove(&self.child.id());
        }
        if thread::panicking() {
            eprintln!("--- {} wrote to standard error:\n{}", self.name, self.errors());
        }
    }
}

/// What of a program's memory is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// What it takes now.
    Resident,
    /// What of that is the program's own, and not a page of a file that the kernel can drop.
    Anonymous,
    /// The most that it ever set aside, used or not.
    MostReserved,
}

/// Bytes of memory of a running program, as Linux tells.
///
/// # Panics
/// If it does not run.
pub fn memory(pid: u32, what: Memory) -> u64 {
    let name = match what {
        Memory::Resident => "VmRSS:",
        Memory::Anonymous => "RssAnon:",
        Memory::MostReserved => "VmPeak:",
    };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running program");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}
