//! Where the two programs are.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;

/// Paths of the built programs.
#[derive(Clone, Debug)]
pub struct Programs {
    pub index: PathBuf,
    pub peer: PathBuf,
}

/// Builds the programs if they are not, once for each process, in the profile this very code was built in.
///
/// With `CHOIR_PROGRAMS` in the environment they are taken from that folder as they are: to measure those of another
/// version, or without waiting for the build of what is there.
///
/// The selection of packages is the one that `cargo test --workspace` makes, so that nothing is built twice.
///
/// # Panics
/// If they do not build.
pub fn programs() -> &'static Programs {
    static BUILT: OnceLock<Programs> = OnceLock::new();
    BUILT.get_or_init(|| match std::env::var_os("CHOIR_PROGRAMS").map(PathBuf::from) {
        Some(folder) => Programs { index: folder.join("choir-index"), peer: folder.join("choir") },
        None => build().unwrap_or_else(|error| panic!("the programs do not build: {error:#}")),
    })
}

#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

fn build() -> anyhow::Result<Programs> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--workspace", "--bins", "--quiet", "--message-format", "json"]);
    cargo.arg(if cfg!(debug_assertions) { "--tests" } else { "--release" });
    // Cargo tells a program that it runs about its package, and some build scripts run again when that changes: ring's
    // does, and half of the dependencies would be built twice.
    let told = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| told(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = cargo.output()?;
    anyhow::ensure!(output.status.success(), "cargo build ended with {}", output.status);
    let messages: Vec<Message> =
        String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let find = |name: &str| {
        let is_it = |target: &Target| target.name == name && target.kind.iter().any(|kind| kind == "bin");
        let mut built = messages.iter().filter(|message| message.target.as_ref().is_some_and(is_it));
        // With `--tests` each program is also built as its own unit tests; those have another folder.
        let plain = |path: &PathBuf| path.parent().is_some_and(|folder| !folder.ends_with("deps"));
        built
            .find_map(|message| message.executable.clone().filter(plain))
            .ok_or_else(|| anyhow::anyhow!("no program {name}"))
    };
    Ok(Programs { index: find("choir-index")?, peer: find("choir")? })
}
