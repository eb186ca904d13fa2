//! What must hold for every byte that a stranger sends.
//!
//! A target is a plain function: it takes bytes, gives them to one parser, and panics if a property of that parser
//! is broken. `tests/fuzz/replay.rs` runs each over its corpus with every other test; `tests/fuzz/fuzz_targets` lets
//! cargo-fuzz look for bytes that nobody has thought of.
//!
//! Properties are about values and not only about survival: what is read can be written and read again, one thing
//! has one text, limits hold, what was made harmless stays as it is.

mod audio;
mod change_set;
mod claim;
mod json;
mod layer;
mod leaf_set;
mod names;
mod part;
mod path;
mod search;
mod settings;
mod tags;
mod text;
mod wire;

pub use audio::audio;
pub use change_set::change_set;
pub use claim::claim;
pub use json::{control, index_api};
pub use layer::tree_layer;
pub use leaf_set::leaf_set;
pub use names::{display_name, file_id, index_url, keys, link, safe_name};
pub use part::part;
pub use path::path_tags;
pub use search::query;
pub use settings::settings;
pub use tags::tags;
pub use text::text;
pub use wire::wire;

/// A target by name: that of its function, its corpus and its file in `fuzz_targets`.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

macro_rules! targets {
    ($($name:ident,)*) => {
        /// All of them, sorted by name.
        pub const TARGETS: &[Target] = &[$(Target { name: stringify!($name), run: $name },)*];
    };
}

targets! {
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

/// The bytes as text, if they are text: what is not, no parser of text is ever given.
fn utf8(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
