//! The fuzz targets without a fuzzer: each over its corpus, and over mutations of it that are the same every time.
//!
//! What breaks a target is written to a file. Give it a name that says what it was, put it into the target's corpus,
//! and mend the parser; from then on every run of the tests tries it.
//!
//! `CHOIR_FUZZ_MUTATIONS=1000000 cargo test --workspace --test fuzz tags` looks longer than a run of all tests may.

mod mutation;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;

use harness::fuzz::{TARGETS, Target};
use mutation::Mutations;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// All targets together take some seconds.
const MUTATIONS: usize = 2000;

/// Many times what any parser may set aside, and far less than lengths that bytes can claim: whoever believes one of
/// those ends the whole run.
const MEMORY_BYTES: u64 = 256 << 20;

macro_rules! replayed {
    ($($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        const REPLAYED: &[&str] = &[$(stringify!($name),)*];
    };
}

replayed! {
    audio,
    change_set,
    claim,
    control,
    display_name,
    file_id,
    index_api,
    index_url,
    keys,
    leaf_set,
    link,
    part,
    path_tags,
    query,
    safe_name,
    settings,
    tags,
    text,
    tree_layer,
    wire,
}

#[test]
fn every_target_is_replayed_and_can_be_given_to_cargo_fuzz() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(REPLAYED, names);
    let manifest: toml::Table = fs::read_to_string(folder().join("Cargo.toml")).unwrap().parse().unwrap();
    let programs = manifest["bin"].as_array().unwrap().iter().map(|program| program["name"].as_str().unwrap());
    assert_eq!(programs.collect::<Vec<_>>(), names);
    for name in names {
        let program = fs::read_to_string(folder().join("fuzz_targets").join(name).with_extension("rs")).unwrap();
        assert!(program.starts_with("#![no_main]\n"), "{program}");
        assert!(program.ends_with(&format!("|bytes: &[u8]| harness::fuzz::{name}(bytes));\n")), "{program}");
    }
    assert_eq!(fs::read_dir(folder().join("fuzz_targets")).unwrap().count(), TARGETS.len());
    assert_eq!(fs::read_dir(folder().join("corpus")).unwrap().count(), TARGETS.len());
}

fn replay(name: &str) {
    limit_memory();
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of this name");
    let corpus = corpus(name);
    for (file, bytes) in &corpus {
        attempt(target, &file.display().to_string(), bytes);
    }
    let mutations = std::env::var("CHOIR_FUZZ_MUTATIONS")
        .map_or(MUTATIONS, |number| number.parse().expect("a number of mutations"));
    let seeds = corpus.into_iter().map(|(_, bytes)| bytes).collect();
    for (number, bytes) in Mutations::of(seeds, name).take(mutations).enumerate() {
        attempt(target, &format!("mutation {number}"), &bytes);
    }
}

fn attempt(target: &Target, what: &str, bytes: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))) {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", target.name));
        fs::write(&file, bytes).expect("a place for what was found");
        eprintln!("{what} breaks {}; its bytes are in {}", target.name, file.display());
        resume_unwind(panic);
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Sorted by name, so that mutations are the same on every machine.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(folder().join("corpus").join(name)).expect("a corpus");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file of the corpus").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has no corpus");
    let read = |file: PathBuf| {
        let bytes = fs::read(&file).expect("a file of the corpus");
        (file, bytes)
    };
    files.into_iter().map(read).collect()
}

fn limit_memory() {
    static LIMITED: Once = Once::new();
    LIMITED.call_once(|| {
        let maximum = getrlimit(Resource::Data).maximum;
        let limit = Rlimit { current: Some(MEMORY_BYTES), maximum };
        setrlimit(Resource::Data, limit).expect("a limit below the one in force");
    });
}
