//! Programs that see another machine than the test does: Linux namespaces, made by `unshare` of util-linux.
//!
//! Root makes them directly; anybody else makes them inside a user namespace, in which he is root.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::process::Process;

/// Mounts what stands before `--` and becomes what stands behind it, so that the program keeps the number of the
/// process that was started.
const ENTER: &str = r#"
set -e
while [ "$1" != -- ]; do mount -t tmpfs -o "size=$2" choir "$1"; shift 2; done
shift
exec "$@"
"#;

/// What one program has for itself.
#[derive(Clone, Debug, Default)]
pub struct Namespace {
    disks: Vec<(PathBuf, u64)>,
    powerless: bool,
}

impl Namespace {
    /// An empty disk of so many bytes in place of `folder`. It lies in memory and ends with the program.
    #[must_use]
    pub fn with_disk(mut self, folder: &Path, bytes: u64) -> Self {
        self.disks.push((folder.to_owned(), bytes));
        self
    }

    /// Without the powers of root, so that modes of files mean to the program what they mean to anybody.
    #[must_use]
    pub fn without_powers(mut self) -> Self {
        self.powerless = true;
        self
    }

    /// The same command, to be run in here.
    ///
    /// # Panics
    /// If this machine has no namespaces for us.
    pub fn enter(&self, command: &Command) -> Command {
        let mut entering = unshare();
        entering.args(["sh", "-c", ENTER, "sh"]);
        for (folder, bytes) in &self.disks {
            entering.arg(folder).arg(bytes.to_string());
        }
        entering.arg("--");
        if self.powerless {
            entering.args(["setpriv", "--bounding-set=-all", "--inh-caps=-all"]);
        }
        entering.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => entering.env(name, value),
                None => entering.env_remove(name),
            };
        }
        entering
    }
}

/// Where the test finds what lies at `path` for the running program.
pub fn seen_by(process: &Process, path: &Path) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{}/root", process.id()));
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// `unshare` with the first set of arguments that works here.
fn unshare() -> Command {
    const WAYS: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    static WAY: OnceLock<Result<&[&str], String>> = OnceLock::new();
    let way = WAY.get_or_init(|| {
        let mut refusals = Vec::new();
        for way in WAYS {
            match Command::new("unshare").args(way).arg("true").output() {
                Ok(output) if output.status.success() => return Ok(way),
                Ok(output) => refusals.push(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
                Err(error) => refusals.push(error.to_string()),
            }
        }
        Err(refusals.join("; "))
    });
    let way = way.as_ref().unwrap_or_else(|refusals| {
        panic!(
            "this test needs `unshare` of util-linux, and to be root or allowed user namespaces \
             (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns): {refusals}"
        )
    });
    let mut command = Command::new("unshare");
    command.args(*way);
    command
}
