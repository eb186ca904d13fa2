//! Keys cost nothing, networks do.

use harness::TestIndex;
use harness::load::liars::{Lie, TRUE_TITLE, shown_title};

#[test]
fn a_thousand_keys_of_twenty_networks_do_not_outvote_thirty_people() {
    let lie = Lie { liars: 1_000, liars_networks: 20, honest: 30 };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(runtime.block_on(shown_title(&TestIndex::start(), lie)).unwrap(), TRUE_TITLE);
}
