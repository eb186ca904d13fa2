//! Small music: the committed fixtures, and sounds of any size made on the spot.

use std::path::{Path, PathBuf};

/// `tests/fixtures`.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Copies the tree below `from` into `to`.
///
/// # Panics
/// If it cannot be copied.
pub fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder to copy into");
    for entry in std::fs::read_dir(from).expect("a folder to copy").filter_map(Result::ok) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file copied");
        }
    }
}

/// A WAV file of noise: `bytes` long in all, different for each `seed`, tagged with a title and an artist.
pub fn noise(title: &str, artist: &str, bytes: usize, seed: u64) -> Vec<u8> {
    let tag = |id: &[u8; 4], text: &str| {
        let mut padded = text.as_bytes().to_vec();
        padded.push(0);
        padded.resize(padded.len().next_multiple_of(2), 0);
        [&id[..], &(padded.len() as u32).to_le_bytes(), &padded].concat()
    };
    let info = [&b"INFO"[..], &tag(b"INAM", title), &tag(b"IART", artist)].concat();
    let list = [&b"LIST"[..], &(info.len() as u32).to_le_bytes(), &info].concat();
    // PCM, mono, 44.1 kHz, 16 bits.
    let format = [
        &b"fmt "[..],
        &16u32.to_le_bytes(),
        &[1, 0, 1, 0],
        &44_100u32.to_le_bytes(),
        &88_200u32.to_le_bytes(),
        &[2, 0, 16, 0],
    ]
    .concat();
    let before = 12 + format.len() + list.len() + 8;
    let data_bytes = bytes.saturating_sub(before).next_multiple_of(2);
    let mut wav = Vec::with_capacity(before + data_bytes);
    wav.extend_from_slice(b"RIFF");
    wav.extend_from_slice(&((before - 8 + data_bytes) as u32).to_le_bytes());
    wav.extend_from_slice(b"WAVE");
    wav.extend_from_slice(&format);
    wav.extend_from_slice(&list);
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&(data_bytes as u32).to_le_bytes());
    // xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled".
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while wav.len() < before + data_bytes {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        wav.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    wav.truncate(before + data_bytes);
    wav
}
