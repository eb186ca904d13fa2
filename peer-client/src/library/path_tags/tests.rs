use proptest::prelude::*;

use super::*;

/// What a row of the table expects: empty text and 0 for nothing.
fn shown(tags: &PathTags) -> (String, String, String, u32, u32, u32) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let number = |number: Option<u32>| number.unwrap_or_default();
    (text(&tags.artist), text(&tags.album), text(&tags.title), number(tags.disc), number(tags.track), number(tags.year))
}

fn of(path: &str) -> PathTags {
    guess("Music", &path.split('/').collect::<Vec<_>>())
}

#[test]
fn names_from_real_collections() {
    #[rustfmt::skip]
    let table: &[(&str, &str, &str, &str, u32, u32, u32)] = &[
        // path, artist, album, title, disc, track, year
        ("03 - Title.mp3", "", "", "Title", 0, 3, 0),
        ("03_title_here.ogg", "", "", "title here", 0, 3, 0),
        ("01.Title.mp3", "", "", "Title", 0, 1, 0),
        ("03-Title.mp3", "", "", "Title", 0, 3, 0),
        ("3. Title.mp3", "", "", "Title", 0, 3, 0),
        ("03) Title.mp3", "", "", "Title", 0, 3, 0),
        ("(03) Title.mp3", "", "", "Title", 0, 3, 0),
        ("[03] Title.mp3", "", "", "Title", 0, 3, 0),
        ("#3 Title.mp3", "", "", "Title", 0, 3, 0),
        ("Track 03.mp3", "", "", "Track 03", 0, 3, 0),
        ("Track 03 - Title.mp3", "", "", "Title", 0, 3, 0),
        ("A01 Title.mp3", "", "", "Title", 0, 1, 0),
        ("B2. Title.flac", "", "", "Title", 0, 2, 0),
        ("03  -  Double   Spaces.mp3", "", "", "Double Spaces", 0, 3, 0),
        ("Artist - Title.ogg", "Artist", "", "Title", 0, 0, 0),
        ("Artist_-_Title.ogg", "Artist", "", "Title", 0, 0, 0),
        ("Artist – Title.ogg", "Artist", "", "Title", 0, 0, 0),
        ("Artist%20-%20Title.ogg", "Artist", "", "Title", 0, 0, 0),
        ("Artist.Name.-.The.Title.mp3", "Artist Name", "", "The Title", 0, 0, 0),
        ("03 Artist - Title.mp3", "Artist", "", "Title", 0, 3, 0),
        ("03. Artist - Title.mp3", "Artist", "", "Title", 0, 3, 0),
        ("01-pink_floyd-time.mp3", "pink floyd", "", "time", 0, 1, 0),
        ("(Artist) Title.mp3", "Artist", "", "Title", 0, 0, 0),
        ("[Artist] Title.mp3", "Artist", "", "Title", 0, 0, 0),
        ("Artist - Album - 03 - Title.flac", "Artist", "Album", "Title", 0, 3, 0),
        ("Artist - Album - 03 Title.flac", "Artist", "Album", "Title", 0, 3, 0),
        ("Artist - 03 - Title.flac", "Artist", "", "Title", 0, 3, 0),
        ("Artist - 2003 - Album - 03 - Title.flac", "Artist", "Album", "Title", 0, 3, 2003),
        ("Queen - Bohemian Rhapsody - Live Aid.mp3", "Queen", "", "Bohemian Rhapsody - Live Aid", 0, 0, 0),
        ("Artist - Title (Official Video) [dQw4w9WgXcQ].opus", "Artist", "", "Title", 0, 0, 0),
        ("Artist - Title [320kbps].mp3", "Artist", "", "Title", 0, 0, 0),
        ("Artist - Title (1).mp3", "Artist", "", "Title", 0, 0, 0),
        ("Artist - Title - Copy.mp3", "Artist", "", "Title", 0, 0, 0),
        ("Artist - Title (feat. Somebody) (Remix).mp3", "Artist", "", "Title (feat. Somebody) (Remix)", 0, 0, 0),
        ("AC_DC - Back in Black.mp3", "AC DC", "", "Back in Black", 0, 0, 0),
        ("R.E.M. - Drive.mp3", "R.E.M.", "", "Drive", 0, 0, 0),
        ("311 - Down.mp3", "311", "", "Down", 0, 0, 0),
        ("U2 - One.mp3", "U2", "", "One", 0, 0, 0),
        ("30 Seconds to Mars - The Kill.mp3", "30 Seconds to Mars", "", "The Kill", 0, 0, 0),
        ("50 Cent - In da Club.mp3", "50 Cent", "", "In da Club", 0, 0, 0),
        ("Nena - 99 Luftballons.mp3", "Nena", "", "99 Luftballons", 0, 0, 0),
        ("99 Luftballons.mp3", "", "", "99 Luftballons", 0, 0, 0),
        ("1979.mp3", "", "", "1979", 0, 0, 0),
        ("03.mp3", "", "", "03", 0, 0, 0),
        ("music003.ogg", "", "", "music003", 0, 0, 0),
        ("pickup-key.ogg", "", "", "pickup-key", 0, 0, 0),
        (".mp3", "", "", ".mp3", 0, 0, 0),

        ("Artist/Album/03 Title.ogg", "Artist", "Album", "Title", 0, 3, 0),
        ("Artist/Album/12 Title.ogg", "Artist", "Album", "Title", 0, 12, 0),
        ("Nena/Nena/99 Luftballons.ogg", "Nena", "Nena", "99 Luftballons", 0, 0, 0),
        ("Artist/2003 - Album (Remaster)/CD1/1-03 Title.flac", "Artist", "Album (Remaster)", "Title", 1, 3, 2003),
        ("Artist/(2003) Album/Disc 2/03 Title.flac", "Artist", "Album", "Title", 2, 3, 2003),
        ("Artist/Album (2003) [FLAC]/103 - Title.flac", "Artist", "Album", "Title", 1, 3, 2003),
        ("Artist/2003 Album/03. Artist - Title.flac", "Artist", "Album", "Title", 0, 3, 2003),
        ("Artist/Artist - Album/03 Title.flac", "Artist", "Album", "Title", 0, 3, 0),
        ("Artist/Artist - Album [2003]/Artist - Album - 03 - Title.flac", "Artist", "Album", "Title", 0, 3, 2003),
        ("Artist/Artist - 2003 - Album/03 Title.flac", "Artist", "Album", "Title", 0, 3, 2003),
        ("Artist/Album CD2/03 Title.flac", "Artist", "Album", "Title", 2, 3, 0),
        ("Artist/Album (Disc 2)/03 Title.flac", "Artist", "Album", "Title", 2, 3, 0),
        ("Artist/Albums/1999 - Album/03 Title.flac", "Artist", "Album", "Title", 0, 3, 1999),
        ("Rock/Artist/Album/03 Title.mp3", "Artist", "Album", "Title", 0, 3, 0),
        ("A/ABBA/Gold/03 Title.mp3", "ABBA", "Gold", "Title", 0, 3, 0),
        ("Beatles, The/Help!/03 Title.mp3", "The Beatles", "Help!", "Title", 0, 3, 0),
        ("Pink_Floyd/The_Wall/03_another_brick.mp3", "Pink Floyd", "The Wall", "another brick", 0, 3, 0),
        ("Prince/1999/01 1999.mp3", "Prince", "1999", "1999", 0, 1, 0),
        ("Beethoven/Symphonies/03 Symphony No. 5 - Allegro.flac", "Beethoven", "Symphonies", "Symphony No. 5 - Allegro", 0, 3, 0),
        ("Queen/Live - Wembley/03 Title.mp3", "Queen", "Live - Wembley", "Title", 0, 3, 0),
        ("Various Artists/Album/03 Artist - Title.mp3", "Artist", "Album", "Title", 0, 3, 0),
        ("VA - Album (2003)/03 Artist - Title.mp3", "Artist", "Album", "Title", 0, 3, 2003),
        ("Compilations/Album/03 Title.mp3", "", "Album", "Title", 0, 3, 0),
        ("Soundtracks/Film/12 Artist - Title.mp3", "Artist", "Film", "Title", 0, 12, 0),
        ("Downloads/Artist - Album (2003) [MP3 320]/03 Title.mp3", "Artist", "Album", "Title", 0, 3, 2003),
        ("Artist - Album/Artist - Title.mp3", "Artist", "Album", "Title", 0, 0, 0),
        ("Artist - Album/Title - Artist.mp3", "Artist", "Album", "Title", 0, 0, 0),
        ("Unknown Artist/Unknown Album/03 Title.mp3", "", "", "Title", 0, 3, 0),

        ("Artist/Title.mp3", "Artist", "", "Title", 0, 0, 0),
        ("Green Day/21 Guns.mp3", "Green Day", "", "21 Guns", 0, 0, 0),
        ("Artist/Artist - Title.mp3", "Artist", "", "Title", 0, 0, 0),
        ("Album/03 Title.mp3", "", "Album", "Title", 0, 3, 0),
        ("Summer Hits/Artist - Title.mp3", "Artist", "Summer Hits", "Title", 0, 0, 0),
        ("lose/Chimes They Fade.ogg", "", "", "Chimes They Fade", 0, 0, 0),
        ("夜行列車楽団/雨の停車場/04 月明かりの猫.m4a", "夜行列車楽団", "雨の停車場", "月明かりの猫", 0, 4, 0),
    ];
    let mut wrong = Vec::new();
    for &(path, artist, album, title, disc, track, year) in table {
        let expected = (artist.to_owned(), album.to_owned(), title.to_owned(), disc, track, year);
        let got = shown(&of(path));
        if got != expected {
            wrong.push(format!("{path}\n   got {got:?}\n  want {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table.len(), wrong.join("\n"));
}

#[test]
fn the_shared_folder_counts_only_if_it_is_plainly_an_album() {
    let title = |share, file| shown(&guess(share, &[file]));
    assert_eq!(title("Pink Floyd - Animals (1977)", "03 Sheep.flac").0, "Pink Floyd");
    assert_eq!(title("Animals", "03 Sheep.flac").1, "Animals");
    assert_eq!(
        (title("usb-stick", "Sheep.flac").0, title("usb-stick", "Sheep.flac").1),
        (String::new(), String::new())
    );
    assert_eq!(guess("anna", &["Animals", "03 Sheep.flac"]).artist, None);
}

#[test]
fn only_plain_structures_are_solid() {
    for solid in
        ["Artist/Album/03 Title.ogg", "Artist - Album/03 Title.ogg", "Artist - Title.ogg", "VA/Album/01 Title.ogg"]
    {
        assert!(of(solid).solid, "{solid}");
    }
    for guess in ["Somewhere/Title.ogg", "Somewhere/03 Title.ogg", "Title.ogg", "(Somebody) Title.ogg"] {
        assert!(!of(guess).solid, "{guess}");
    }
}

#[test]
fn compilations_are_told_from_albums() {
    let tags = of("Various Artists/Album/03 Artist - Title.mp3");
    assert_eq!((tags.compilation, tags.album_artist.as_deref()), (true, Some(VARIOUS_ARTISTS)));
    assert!(!of("Artist/Album/03 Title.mp3").compilation);
}

proptest! {
    #[test]
    fn no_name_gives_a_blank_text(path in "[ -_.()\\[\\]0-9A-Da-d/é–]{0,40}", share in "[ -_a-c]{0,6}") {
        let parts: Vec<&str> = path.split('/').collect();
        let tags = guess(&share, &parts);
        for text in [&tags.title, &tags.artist, &tags.album].into_iter().flatten() {
            prop_assert!(!text.trim().is_empty(), "{tags:?}");
        }
    }

    #[test]
    fn any_text_at_all_is_read(path: Vec<String>, share: String) {
        guess(&share, &path.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
