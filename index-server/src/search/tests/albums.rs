//! Albums found and looked up.

use choir_shared::album::album_key;

use super::*;

fn on(album: &str, track: u32, total: u32, claim: Claim) -> Claim {
    Claim { album: Some(album.to_owned()), track: Some(track), track_total: Some(total), ..claim }
}

fn in_year(year: u32, claim: Claim) -> Claim {
    Claim { year: Some(year), ..claim }
}

fn number(claim: &Claim) -> u64 {
    u64::from_str_radix(&album_key(claim).unwrap()[..16], 16).unwrap()
}

/// Homogenic in two pressings, a namesake, another album, and a song that is on none.
fn catalogue() -> Catalogue {
    let hunter = || song("Björk", "Hunter");
    Catalogue::with([
        in_year(1997, on("Homogenic", 1, 3, hunter())),
        in_year(1997, on("Homogenic", 2, 3, song("Björk", "Jóga"))),
        in_year(2010, on("Homogenic (Remastered)", 1, 3, hunter())),
        in_year(1997, on("Homogenic", 1, 9, song("Nobody", "Hunter"))),
        in_year(1995, on("Post", 1, 1, song("Björk", "Army of Me"))),
        song("Björk", "Play Dead"),
        on("Homogenic", 3, 3, song("Bjork", "Unravel")),
    ])
}

fn albums(catalogue: &Catalogue, params: SearchParams) -> FoundAlbums {
    let params = SearchParams { group: Some("album".to_owned()), ..params };
    catalogue.engine.albums(&params.parse().unwrap(), &catalogue.online, None).unwrap()
}

fn files(album: &FoundAlbum) -> Vec<u32> {
    album.files.iter().map(|(_, no)| no.0).collect()
}

#[test]
fn an_album_is_found_with_all_its_songs_whatever_the_words_were() {
    let catalogue = catalogue();
    let found = albums(&catalogue, words("hunter bjork"));
    let [album] = &found.albums[..] else { panic!("{found:?}") };
    assert_eq!((album.title.as_str(), album.artist.as_deref(), album.year), ("Homogenic", Some("Björk"), Some(1997)));
    assert_eq!(files(album), [1, 3, 2, 7]);
    assert_eq!((album.tracks, album.tracks_online, album.track_total), (3, 3, Some(3)));
    assert_eq!(album.copies(), [vec![FileNo(1), FileNo(3)], vec![FileNo(2)], vec![FileNo(7)]]);
    assert_eq!((found.total, found.total_is, found.next), (1, TotalIs::Exact, None));
}

#[test]
fn every_album_is_listed_once_and_songs_without_one_are_none() {
    let catalogue = catalogue();
    let names = |found: &FoundAlbums| found.albums.iter().map(|album| album.files.len()).collect::<Vec<_>>();
    let all = albums(&catalogue, words("bjork"));
    assert_eq!((names(&all), all.total), (vec![4, 1], 2));

    let first = albums(&catalogue, SearchParams { limit: Some(1), ..words("bjork") });
    assert_eq!((names(&first), first.total), (vec![4], 2));
    let second = albums(&catalogue, SearchParams { limit: Some(1), cursor: first.next, ..words("bjork") });
    assert_eq!((names(&second), second.next), (vec![1], None));
}

#[test]
fn what_nobody_online_has_is_missing() {
    let catalogue = catalogue();
    catalogue.online.remove(EVERYBODY, &[FileNo(1), FileNo(2)]);
    let found = albums(&catalogue, words("bjork homogenic"));
    assert_eq!((found.albums[0].tracks, found.albums[0].tracks_online), (3, 2), "of one song there is another copy");
}

#[test]
fn any_key_of_an_album_leads_to_all_of_it() {
    let catalogue = catalogue();
    let by_key = |no: u32| {
        let key = number(&catalogue.files[no as usize - 1].claim);
        catalogue.engine.album(key, &catalogue.online).unwrap().unwrap()
    };
    assert_eq!((files(&by_key(1)), files(&by_key(3))), (vec![1, 3, 2, 7], vec![1, 3, 2, 7]));
    assert_eq!((by_key(3).named_by, by_key(4).named_by), (FileNo(1), FileNo(4)), "the key that most copies have");
    assert_eq!(files(&by_key(4)), [4]);
    assert_eq!(catalogue.engine.album(7, &catalogue.online).unwrap(), None);
}

#[test]
fn an_album_by_many_has_no_artist() {
    let of = |artist, track| in_year(1990, on("Hits", track, 3, song(artist, &format!("Song {track}"))));
    let catalogue = Catalogue::with([of("A", 1), of("B", 2), of("C", 3)]);
    let found = albums(&catalogue, words("hits"));
    assert_eq!((found.albums.len(), found.albums[0].artist.as_deref()), (1, None));
    let told = |claim| Claim { album_artist: Some("Various".to_owned()), ..claim };
    let catalogue = Catalogue::with([told(of("A", 1)), told(of("B", 2))]);
    assert_eq!(albums(&catalogue, words("hits")).albums[0].artist.as_deref(), Some("Various"));
}

/// Thousands of albums are called like this one; its own songs are found first.
#[test]
fn a_crowd_of_namesakes_hides_no_song() {
    let mut claims: Vec<Claim> = (0..1_100)
        .map(|n| in_year(1980, on("Greatest Hits", n % 20, 20, song(&format!("Band {n}"), "Song"))))
        .collect();
    claims.extend((1..=5).map(|n| in_year(1981, on("Greatest Hits", n, 5, song("Queen", &format!("Song {n}"))))));
    let catalogue = Catalogue::with(claims);
    let found = albums(&catalogue, words("queen"));
    assert_eq!((found.albums.len(), found.albums[0].tracks), (1, 5));
}
