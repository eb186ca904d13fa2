//! What is found by which words.

use super::*;

const SONGS: &[(&str, &str, &str)] = &[
    ("Björk", "Homogenic", "Jóga"),
    ("Björk", "Post", "Army of Me"),
    ("Portishead", "Dummy", "Glory Box"),
    ("Portishead", "Dummy", "Numb"),
    ("AC/DC", "Back in Black", "Hells Bells"),
    ("P!nk", "Funhouse", "So What"),
    ("The The", "Soul Mining", "This Is the Day"),
    ("宇多田ヒカル", "First Love", "First Love"),
    ("한국인", "서울", "노래하는 새"),
    ("R.E.M.", "Green", "Stand"),
    ("!!!", "Louden Up Now", "Pardon My Freedom"),
    ("Simon & Garfunkel", "Bookends", "America"),
    ("Sigur Rós", "Ágætis byrjun", "Svefn-g-englar"),
    ("Prince", "1999", "1999"),
    ("blink-182", "Enema of the State", "Adam's Song"),
    ("Madonna", "Music", "X"),
    ("Motörhead", "Ace of Spades", "Ace of Spades"),
    ("Кино", "Группа крови", "Звезда по имени Солнце"),
    ("Guns N' Roses", "Appetite for Destruction", "Sweet Child O' Mine"),
    ("Tchaikovsky", "Ballets", "Swan Lake"),
    ("Ke$ha", "Animal", "Tik Tok"),
    ("μ-Ziq", "Lunatic Harness", "Brace Yourself Jason"),
];

/// The titles that each query finds.
const CASES: &[(&str, &[&str])] = &[
    // Accents, capitals, other alphabets.
    ("bjork ", &["Jóga", "Army of Me"]),
    ("BJÖRK joga", &["Jóga"]),
    ("Bjo\u{308}rk ", &["Jóga", "Army of Me"]),
    ("agaetis byrjun", &["Svefn-g-englar"]),
    ("motorhead ", &["Ace of Spades"]),
    ("КИНО звезда", &["Звезда по имени Солнце"]),
    ("μ-ziq", &["Brace Yourself Jason"]),
    // Signs.
    ("acdc", &["Hells Bells"]),
    ("AC/DC ", &["Hells Bells"]),
    ("ac dc bells", &["Hells Bells"]),
    ("pink ", &["So What"]),
    ("P!nk ", &["So What"]),
    ("kesha ", &["Tik Tok"]),
    ("rem stand", &["Stand"]),
    ("!!!", &["Pardon My Freedom"]),
    ("simon and garfunkel", &["America"]),
    ("adams song", &["Adam's Song"]),
    ("blink182", &["Adam's Song"]),
    ("guns n roses", &["Sweet Child O' Mine"]),
    ("the the ", &["This Is the Day", "Adam's Song"]),
    // No spaces.
    ("宇多田", &["First Love"]),
    ("ヒカル", &["First Love"]),
    ("노래하는", &["노래하는 새"]),
    ("새", &["노래하는 새"]),
    // Numbers, single letters.
    ("1999", &["1999"]),
    ("182", &["Adam's Song"]),
    ("madonna x ", &["X"]),
    // Any order, any field.
    ("glory box portishead", &["Glory Box"]),
    ("portishead glory box", &["Glory Box"]),
    ("box glory dummy portishead", &["Glory Box"]),
    // Beginnings of the last word, short and long; not of the others.
    ("por", &["Glory Box", "Numb"]),
    ("portishe", &["Glory Box", "Numb"]),
    ("glory b", &["Glory Box"]),
    ("spad", &["Ace of Spades"]),
    ("po glory", &[]),
    ("por ", &[]),
    // Misspelt words.
    ("portishaed ", &["Glory Box", "Numb"]),
    ("portisheda glory", &["Glory Box"]),
    ("tchaikovski", &["Swan Lake"]),
    ("tchaikowski swan", &["Swan Lake"]),
    ("metorhead", &["Ace of Spades"]),
    ("nadonna", &[]),
    ("nmub", &["Numb"]),
    ("gory box", &["Glory Box"]),
    // Nothing.
    ("zzzzzz", &[]),
    ("bjork portishead", &[]),
];

#[test]
fn queries_find_what_people_mean() {
    let of_album =
        |(artist, album, title): &(&str, &str, &str)| Claim { album: Some((*album).to_owned()), ..song(artist, title) };
    let catalogue = Catalogue::with(SONGS.iter().map(of_album));
    for (q, expected) in CASES {
        let title = |no: u32| SONGS[no as usize - 1].2;
        let mut found: Vec<&str> = catalogue.find(q).into_iter().map(title).collect();
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{q}");
    }
}

#[test]
fn words_of_a_field_are_looked_for_in_that_field() {
    let catalogue = Catalogue::with([song("Love", "Alone Again Or"), song("Bowie", "Love Song")]);
    let some = |text: &str| Some(text.to_owned());
    let by = |params| numbers(&catalogue.search(params));
    assert_eq!(by(SearchParams { artist: some("love"), ..SearchParams::default() }), [1]);
    assert_eq!(by(SearchParams { title: some("love"), ..SearchParams::default() }), [2]);
    assert!(by(SearchParams { title: some("lve song"), ..SearchParams::default() }).is_empty());
    assert_eq!(by(SearchParams { title: some("song"), artist: some("bowei"), ..SearchParams::default() }), [2]);
}

#[test]
fn what_is_called_exactly_so_comes_first() {
    let catalogue = Catalogue::with([
        song("Somebody", "One Love One Heart One"),
        song("One", "Anything"),
        song("Metallica", "One"),
        song("One", "One"),
        song("U2", "One"),
    ]);
    assert_eq!(catalogue.find("one"), [4, 5, 3, 2, 1]);
    assert_eq!(catalogue.find("one u2")[0], 5);
    assert_eq!(catalogue.find("U2 One")[0], 5);
}

#[test]
fn popularity_breaks_ties_and_then_availability_does() {
    let mut catalogue = Catalogue::empty();
    let holders = [1, 500, 1, 20];
    let files: Vec<_> = (1..=4).zip(holders).map(|(no, holders)| file(no, song("Air", "Run"), holders)).collect();
    catalogue.apply(&files);
    assert_eq!(catalogue.find("air run"), [2, 4, 1, 3]);
    catalogue.online.arrive(MemberNo(7), &[FileNo(3)]);
    assert_eq!(catalogue.find("air run"), [2, 4, 3, 1]);
}

#[test]
fn the_completions_of_a_long_beginning_are_the_commonest() {
    // More words than are looked up, each in one file but for the one in two.
    let mut claims: Vec<Claim> =
        (0..dictionary::MAX_COMPLETIONS).map(|n| song("x", &format!("beginnings{n}"))).collect();
    claims.extend([song("x", "beginningsz"), song("y", "beginningsz"), song("z", "beginnings")]);
    let last = claims.len() as u32;
    let found = Catalogue::with(claims).search(SearchParams { limit: Some(200), ..words("beginnings") });
    let found = numbers(&found);
    assert!([last, last - 1, last - 2].iter().all(|no| found.contains(no)));
    assert_eq!(found.len(), dictionary::MAX_COMPLETIONS + 1);
}

/// Letters left out, put in, changed, or swapped with their neighbour: the textbook's table, whole (L. Boytsov,
/// "Indexing methods for approximate dictionary searching", 2011, section 2.1).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = match (i, j) {
                (0, _) => j,
                (_, 0) => i,
                _ => {
                    let changed = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let plain = changed.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                    let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                    if swapped { plain.min(table[i - 2][j - 2] + 1) } else { plain }
                }
            };
        }
    }
    table[a.len()][b.len()]
}

#[test]
fn the_words_near_a_word_are_those_of_the_textbook() {
    /// One slip is forgiven in the first, two in the others, which have eight letters.
    const ASKED: [&str; 4] = ["abжb", "жabba", "abababab", "bbжabaab"];
    let longer = |words: &[String]| -> Vec<String> {
        words.iter().flat_map(|word| ["a", "b", "ж"].map(|letter| format!("{word}{letter}"))).collect()
    };
    let mut words = vec![String::new()];
    let mut all = Vec::new();
    for _ in 0..5 {
        words = longer(&words);
        all.extend(words.clone());
    }
    // Of the long words those that end like one asked for: there are thousands.
    all.extend(words.iter().flat_map(|word| ["bab", "aab", "baba", "b"].map(|end| format!("{word}{end}"))));
    let title = |words: &[String]| song("x", &words.join(" "));
    let catalogue = Catalogue::with(all.chunks(20).map(title));
    let snapshot = catalogue.engine.snapshot();
    for asked in ASKED {
        let slips = if asked.chars().count() < 8 { 1 } else { 2 };
        let mut near: Vec<String> = snapshot.near(snapshot.fields.all, asked).unwrap().into_keys().collect();
        let is_near = |word: &&String| word.chars().next() == asked.chars().next() && distance(asked, word) <= slips;
        let mut expected: Vec<String> = all.iter().filter(is_near).cloned().collect();
        near.sort_unstable();
        expected.sort_unstable();
        expected.dedup();
        assert!(expected.len() > 5, "{asked}");
        assert_eq!(near, expected, "{asked}");
    }
}

#[test]
fn hostile_queries_do_no_harm() {
    let catalogue = Catalogue::with([song("a", "b"), song("\u{10ffff}", "\u{7f}\u{80}é")]);
    let words_of_one: String = "a b c d e f g h i j k l m n o p".to_owned();
    for q in [
        "\"",
        "title:*",
        "a AND NOT b",
        "* OR 1=1",
        "[a TO z]",
        "\\",
        "a~2",
        "\u{10ffff}\u{10ffff}",
        "'; DROP TABLE",
        &words_of_one,
    ] {
        if let Ok(query) = words(q).parse() {
            catalogue.engine.search(&query, &catalogue.online, None).unwrap();
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(16))]
    #[test]
    fn junk_never_panics(queries in proptest::collection::vec(".{0,40}", 1..40), title: String) {
        let catalogue = Catalogue::with([song("a", "b"), song(&title, &title)]);
        for q in queries {
            for sort in [None, Some("title".to_owned())] {
                if let Ok(query) = (SearchParams { sort, facets: Some(true), title: Some(title.clone()), ..words(&q) }).parse() {
                    catalogue.engine.search(&query, &catalogue.online, None).unwrap();
                }
                if let Ok(query) = words(&q).parse() {
                    catalogue.engine.search(&query, &catalogue.online, None).unwrap();
                }
            }
        }
    }
}
