//! Files of which only a part is here.

use std::sync::Arc;

use choir_shared::leaf::LeafSet;
use choir_shared::merkle::{HashedFile, TreeLayer, verify_leaves};

use super::super::shelf::Contents;
use super::sharer::{MIB, Sharer, content};
use super::visitor::{leaves, read_all};
use crate::session::asking::Answer;

/// The leaves from `first` on, `count` of them.
fn part(first: u32, count: u32) -> impl Fn(&HashedFile) -> Contents {
    move |file| {
        let mut held = LeafSet::empty(file.id.length());
        held.insert_range(leaves(file.id, first, count));
        Contents::Part { held, layer: Arc::new(TreeLayer::of_leaves(file.id, &file.leaves).unwrap()) }
    }
}

#[tokio::test]
async fn what_is_here_is_served_and_what_is_not_is_said() {
    let sharer = Sharer::with_contents(1, &[MIB], part(8, 16));
    let file = sharer.ids[0];
    let visitor = sharer.visitor(2).await;
    let Answer::Have(look) = visitor.ask(file, None, false).await else { panic!("refused") };
    assert_eq!(look.leaves.runs(choir_shared::leaf::Presence::Present).collect::<Vec<_>>(), [leaves(file, 8, 16)]);

    let _slot = visitor.slot().await;
    let held = leaves(file, 10, 14);
    let there = read_all(visitor.have(file, held).await).await.unwrap();
    assert_eq!(there, content(MIB)[10 * 16_384..24 * 16_384]);

    let Answer::Have(mut lacking) = visitor.ask(file, Some(leaves(file, 20, 5)), true).await else { panic!("refused") };
    assert!(TreeLayer::verify(file, lacking.read_layer(file).await.unwrap()).is_ok());
    assert!(read_all(*lacking).await.unwrap().is_empty(), "one leaf of the range is missing, so no bytes follow");
    assert!(sharer.uploads.totals().bytes_sent >= there.len() as u64);
}

#[tokio::test]
async fn the_hashes_of_a_part_of_a_large_file_are_computed_from_its_bytes() {
    let sharer = Sharer::with_contents(1, &[129 * MIB], part(128, 64));
    let file = sharer.ids[0];
    let visitor = sharer.visitor(2).await;
    let Answer::Have(mut delivery) = visitor.ask(file, None, true).await else { panic!("refused") };
    let layer = TreeLayer::verify(file, delivery.read_layer(file).await.unwrap()).unwrap();
    let _slot = visitor.slot().await;
    let range = leaves(file, 130, 60);
    let mut delivery = visitor.have(file, range).await;
    let hashes = delivery.read_leaf_hashes(range).await.unwrap();
    assert_eq!(layer.check_leaf_hashes(range, &hashes), Ok(()));
    assert_eq!(verify_leaves(&read_all(delivery).await.unwrap(), &hashes), Ok(()));
}
