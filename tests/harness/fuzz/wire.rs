//! Frames: every message between peers, and that of the rendezvous.

use std::fmt::Debug;

use choir_shared::leaf::{FileLength, LEAF_BYTES};
use choir_shared::rendezvous::Observed;
use choir_shared::wire::{
    BadLeaf, Enter, Get, Granted, HEADER_BYTES, Have, Header, Hello, InvalidMessage, Kind, LeavesHeld, Message, No,
    Place, decode, encode,
};

/// A whole frame, as it comes from a stream.
pub fn wire(frame: &[u8]) {
    let Some((header, payload)) = frame.split_first_chunk::<HEADER_BYTES>() else { return };
    let header = Header::parse(*header);
    let known = [
        survives::<Hello>(header, payload, |_| {}),
        survives::<Get>(header, payload, asks_for_leaves_that_are_there),
        survives::<Have>(header, payload, |have| has_leaves_that_are_there(&have.leaves)),
        survives::<No>(header, payload, |_| {}),
        survives::<Enter>(header, payload, |_| {}),
        survives::<Place>(header, payload, |_| {}),
        survives::<Granted>(header, payload, |_| {}),
        survives::<BadLeaf>(header, payload, |_| {}),
        survives::<Observed>(header, payload, |_| {}),
    ];
    let readers = known.into_iter().filter(|known| *known).count();
    assert_eq!(readers, usize::from(Kind::is_assigned(header.kind)), "each kind has exactly one reader");
}

/// Whether the frame claims to be an `M`. If it is one, it survives being written and read.
fn survives<M: Message + PartialEq + Debug>(header: Header, payload: &[u8], more: impl Fn(&M)) -> bool {
    match header.expect::<M>() {
        Ok(()) => assert!(header.payload_bytes <= M::MAX_BYTES),
        Err(InvalidMessage::Oversized { bytes, max, .. }) => {
            assert!(bytes > max && max == M::MAX_BYTES);
            return true;
        }
        Err(_) => return false,
    }
    // Of a stream that ends early nothing would be read; here the beginning is junk like any other.
    let payload = payload.get(..header.payload_bytes as usize).unwrap_or(payload);
    let Ok(message) = decode::<M>(payload) else { return true };
    let written = encode(&message);
    let (again, body) = written.split_first_chunk::<HEADER_BYTES>().expect("a frame has a header");
    assert_eq!(Header::parse(*again), Header { kind: M::KIND as u16, payload_bytes: body.len() as u32 });
    assert!(body.len() <= payload.len(), "what was read is never longer than what it was read from");
    assert_eq!(decode::<M>(body).as_ref(), Ok(&message));
    assert_eq!(decode::<M>(&[body, b"fields of a later version"].concat()).as_ref(), Ok(&message));
    if let Some((_, shorter)) = body.split_last() {
        assert!(decode::<M>(shorter).is_err(), "a message that is cut short is none");
    }
    more(&message);
    true
}

fn asks_for_leaves_that_are_there(get: &Get) {
    match get.range() {
        Ok(None) => assert_eq!(get.leaf_count, 0),
        Ok(Some(range)) => {
            assert_eq!((range.first(), range.count()), (get.first_leaf, get.leaf_count));
            assert!(range.end() <= get.file.length().leaf_count());
            assert!(get.file.length().byte_range(range).end <= get.file.length().bytes());
        }
        Err(_) => {
            let end = u64::from(get.first_leaf) + u64::from(get.leaf_count);
            assert!(end > u64::from(get.file.length().leaf_count()));
        }
    }
}

/// For each file whose bitmap may have this length.
fn has_leaves_that_are_there(held: &LeavesHeld) {
    let LeavesHeld::Bitmap(bitmap) = held else { return };
    for missing in 0..8 {
        let leaves = (bitmap.len() as u64 * 8).saturating_sub(missing);
        let Ok(length) = FileLength::new(leaves * u64::from(LEAF_BYTES)) else { continue };
        if let Some(set) = held.to_set(length) {
            assert!(set.count() <= length.leaf_count());
            assert_eq!(LeavesHeld::of(&set).to_set(length), Some(set));
        }
    }
}
