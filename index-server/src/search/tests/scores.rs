//! What is said of the scores.

use choir_shared::index_api::Exactness;

use super::*;

fn explained(catalogue: &Catalogue, q: &str) -> Vec<Explanation> {
    catalogue.search(SearchParams { explain: Some(true), ..words(q) }).explanations.unwrap()
}

#[test]
fn the_parts_of_a_score_add_up() {
    let mut catalogue = Catalogue::with([song("Portishead", "Glory Box"), song("Portishead", "Glory Days")]);
    catalogue.apply(&[file(3, song("Nobody", "Portishead and Glory Boxes"), 500)]);
    for q in ["portishead glory b", "glory ", "portis", "portisheda glory"] {
        let explanations = explained(&catalogue, q);
        assert_eq!(explanations.len(), catalogue.find(q).len(), "{q}");
        for explanation in explanations {
            let fit: u32 = explanation.words.iter().map(|word| word.fit_milli).sum();
            let off = explanation.score_milli.abs_diff(fit + explanation.popularity_milli);
            // Scores are rounded to a 64th, and every part to a thousandth.
            assert!(off <= 8 + 4, "{q}: {explanation:?}");
        }
    }
}

#[test]
fn a_row_tells_what_it_was_found_by() {
    let catalogue = Catalogue::with([song("Portishead", "Glory Box"), song("Portishead", "Numb")]);
    let [box_] = &explained(&catalogue, "portisheda glo")[..] else { panic!() };
    let words: Vec<_> =
        box_.words.iter().map(|word| (word.asked.as_str(), word.found.as_str(), word.field.as_str())).collect();
    assert_eq!(words, [("portisheda", "portishead", "all"), ("glo", "glo", "prefix")]);
    assert_eq!((box_.exact, box_.sources), (Exactness::Nothing, 1));
    let exact: Vec<_> = explained(&catalogue, "portishead").iter().map(|row| row.exact).collect();
    assert_eq!(exact, [Exactness::Artist, Exactness::Artist]);
    assert_eq!(explained(&catalogue, "numb portishead")[0].exact, Exactness::ArtistAndTitle);
}

#[test]
fn nothing_is_explained_unasked_and_not_every_row_of_a_long_page() {
    let catalogue = Catalogue::with((0..60).map(|n| song("Everyone", &format!("Song {n}"))));
    assert_eq!(catalogue.search(words("song")).explanations, None);
    let long = SearchParams { explain: Some(true), limit: Some(200), ..words("song") };
    assert_eq!(catalogue.search(long).explanations.unwrap().len(), explain::EXPLAINED);
}
