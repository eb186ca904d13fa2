//! What a request for bytes gets.

use std::fs::File;
use std::time::Duration;

use choir_shared::merkle::{TreeLayer, verify_leaves};
use choir_shared::wire::{CloseCode, Get, HEADER_BYTES, Header, No, Reason, StreamCode};

use super::sharer::{MIB, Sharer, content};
use super::visitor::{leaves, read_all, whole};
use crate::download::fetch;
use crate::session::SessionError;
use crate::session::asking::{Answer, Arrivals};

#[tokio::test]
async fn a_range_and_its_layer_are_served_as_they_were_hashed() {
    let sharer = Sharer::with(1, &[3 * MIB + 77]);
    let file = sharer.ids[0];
    let visitor = sharer.visitor(2).await;
    let _slot = visitor.slot().await;
    let Answer::Have(mut delivery) = visitor.ask(file, Some(whole(file)), true).await else { panic!("refused") };
    assert!(delivery.leaves.is_full());
    let layer = TreeLayer::verify(file, delivery.read_layer(file).await.unwrap()).unwrap();
    let bytes = read_all(*delivery).await.unwrap();
    assert_eq!(bytes, content(3 * MIB + 77));
    assert_eq!(verify_leaves(&bytes, layer.nodes()), Ok(()));

    let last_two = leaves(file, whole(file).count() - 2, 2);
    let tail = read_all(visitor.have(file, last_two).await).await.unwrap();
    assert_eq!(tail, content(3 * MIB + 77)[last_two.first() as usize * 16_384..]);
    assert_eq!(sharer.uploads.totals().bytes_sent, (bytes.len() + tail.len()) as u64);
    let [status] = &sharer.uploads.list()[..] else { panic!("one line is expected") };
    assert_eq!((status.file_id, status.bytes_sent), (Some(file), (bytes.len() + tail.len()) as u64));
}

#[tokio::test]
async fn ranges_of_large_files_carry_their_leaf_hashes_and_must_be_aligned() {
    let sharer = Sharer::with(1, &[129 * MIB]);
    let file = sharer.ids[0];
    let visitor = sharer.visitor(2).await;
    let _slot = visitor.slot().await;
    let Answer::Have(mut delivery) = visitor.ask(file, None, true).await else { panic!("refused") };
    let layer = TreeLayer::verify(file, delivery.read_layer(file).await.unwrap()).unwrap();
    assert_eq!(layer.leaves_per_node(), 2);
    let range = leaves(file, 128, 64);
    let mut delivery = visitor.have(file, range).await;
    let hashes = delivery.read_leaf_hashes(range).await.unwrap();
    assert_eq!(layer.check_leaf_hashes(range, &hashes), Ok(()));
    assert_eq!(verify_leaves(&read_all(delivery).await.unwrap(), &hashes), Ok(()));
    assert_eq!(visitor.refused(file, leaves(file, 129, 64)).await, Reason::Refused);
}

#[tokio::test]
async fn a_download_of_any_size_begins_without_a_slot() {
    const MOST: usize = 512 * MIB;
    let sharer = Sharer::with_zeros(1, &[1, 65_537, MOST, MOST + 1]);
    let visitor = sharer.visitor(2).await;
    let begun = [Some(1), Some(4), Some(4), None];
    for (file, leaves) in sharer.ids.iter().zip(begun) {
        let opening = fetch::open(visitor.session.clone(), *file, 4, Duration::from_secs(60), Arrivals::default());
        let start = opening.await.unwrap().rest().await.unwrap();
        assert_eq!((start.layer.id(), start.first.as_ref().map(|(range, _)| range.count())), (*file, leaves));
        let expected = start.first.as_ref().map(|(range, _)| file.length().range_len(*range));
        assert_eq!(start.first.map(|(_, data)| data.len() as u64), expected);
    }
}

#[tokio::test]
async fn a_changed_file_is_not_served_and_hashed_again() {
    let mut sharer = Sharer::with(1, &[MIB]);
    let file = sharer.ids[0];
    let visitor = sharer.visitor(2).await;
    let _slot = visitor.slot().await;
    std::fs::write(&sharer.paths[0], b"another song").unwrap();
    assert_eq!(visitor.refused(file, whole(file)).await, Reason::Changed);
    assert_eq!(sharer.rechecks.recv().await, Some(file));
    std::fs::remove_file(&sharer.paths[0]).unwrap();
    assert_eq!(visitor.refused(file, whole(file)).await, Reason::Changed);
    assert!(sharer.rechecks.try_recv().is_err(), "once in a while is enough");
}

#[tokio::test]
async fn a_file_that_changes_on_the_way_ends_the_transfer() {
    let mut sharer = Sharer::with(1, &[64 * MIB]);
    let file = sharer.ids[0];
    let visitor = sharer.visitor(2).await;
    let _slot = visitor.slot().await;
    // Nobody reads, so that most of the file cannot have left yet.
    let delivery = visitor.have(file, whole(file)).await;
    File::options().write(true).open(&sharer.paths[0]).unwrap().set_len(1).unwrap();
    assert!(matches!(read_all(delivery).await, Err(SessionError::Ended(Some(StreamCode::Changed)))));
    assert_eq!(sharer.rechecks.recv().await, Some(file));
}

#[tokio::test]
async fn complaints_count_only_from_who_was_sent_the_file() {
    let mut sharer = Sharer::with(1, &[MIB, 2 * MIB]);
    let visitor = sharer.visitor(2).await;
    let [never_sent, sent] = sharer.ids[..] else { panic!("two files are shared") };
    read_all(visitor.have(sent, leaves(sent, 0, 1)).await).await.unwrap();
    visitor.session.complain(never_sent, 0);
    visitor.session.complain(sent, 1_000_000);
    visitor.session.complain(sent, 0);
    assert_eq!(sharer.rechecks.recv().await, Some(sent));
    assert!(sharer.rechecks.try_recv().is_err());
}

#[tokio::test]
async fn what_is_not_shared_is_said_to_be_so() {
    let sharer = Sharer::with(1, &[MIB]);
    let other = Sharer::with(1, &[2 * MIB]).ids[0];
    let visitor = sharer.visitor(2).await;
    assert_eq!(visitor.refused(other, whole(other)).await, Reason::NotShared);
}

#[tokio::test]
async fn leaves_past_the_end_and_junk_close_the_connection_with_its_code() {
    let sharer = Sharer::with(1, &[MIB]);
    let visitor = sharer.visitor(2).await;
    let past = Get { file: sharer.ids[0], first_leaf: 64, leaf_count: 1, want_layer: false, priority: 0 };
    let lost = visitor.session.get(&past).await.err().unwrap();
    assert_eq!(lost.close_code(), Some(CloseCode::Malformed));

    // The kind of a Get, but nothing like one; and one that claims four gigabytes.
    for (request, code) in
        [([0, 0x10, 0, 0, 0, 1], CloseCode::Malformed), ([0, 0x10, 0xff, 0, 0, 0], CloseCode::Oversized)]
    {
        let visitor = sharer.visitor(3).await;
        let (mut send, _receive) = visitor.session.connection().open_bi().await.unwrap();
        send.write_all(&request).await.unwrap();
        send.write_all(&[0xff]).await.unwrap();
        assert_eq!(SessionError::from(visitor.session.closed().await).close_code(), Some(code));
    }
}

#[tokio::test]
async fn an_unknown_request_is_unsupported_and_the_connection_lives() {
    let sharer = Sharer::with(1, &[MIB]);
    let visitor = sharer.visitor(2).await;
    let (mut send, mut receive) = visitor.session.connection().open_bi().await.unwrap();
    send.write_all(&[0x77, 0x77, 0, 0, 0, 0]).await.unwrap();
    let answer = receive.read_to_end(100).await.unwrap();
    let (header, payload) = answer.split_first_chunk::<HEADER_BYTES>().unwrap();
    assert!(Header::parse(*header).is::<No>());
    assert_eq!(choir_shared::wire::decode::<No>(payload).unwrap().reason, Reason::Unsupported);
    let file = sharer.ids[0];
    assert_eq!(read_all(visitor.have(file, leaves(file, 0, 1)).await).await.unwrap(), content(16_384));
}
