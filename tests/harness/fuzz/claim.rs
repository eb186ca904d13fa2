//! What holders say of files.

use choir_shared::Claim;
use choir_shared::album::album_key;
use choir_shared::claim::{MAX_CLAIM_BYTES, MAX_TEXT_BYTES, canonical_json};

/// The JSON of one claim. One that is refused is made to obey and then accepted.
pub fn claim(json: &[u8]) {
    match Claim::parse(json) {
        Ok(claim) => {
            has_one_form(&claim);
            has_one_form(&claim.clone().clamp());
            assert_eq!(serde_json::from_slice(json).ok(), Some(claim), "inside a message it is read alike");
        }
        Err(_) => assert!(serde_json::from_slice::<Claim>(json).is_err() || json.len() > 6 * MAX_CLAIM_BYTES),
    }
    // Whatever tags say, their reader puts it into such a claim.
    let text = String::from_utf8_lossy(json);
    let number = json.iter().fold(0, |number: u32, byte| number.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    let some = || Some(text.clone().into_owned());
    let odd = Claim {
        title: some(),
        artist: some(),
        album: some(),
        album_artist: some(),
        genre: some(),
        file_name: some(),
        mb_recording: some(),
        year: Some(number),
        track: Some(number % 20_000),
        duration_ms: Some(u64::from(number) << 4),
        sample_rate_hz: Some(number),
        channels: Some(number % 512),
        ..Claim::default()
    };
    has_one_form(&odd.clamp());
}

fn has_one_form(claim: &Claim) {
    assert_eq!(claim.clone().clamp().clamp(), claim.clone().clamp(), "what was made to obey is left as it is");
    let texts = [&claim.title, &claim.artist, &claim.album, &claim.album_artist, &claim.genre, &claim.file_name];
    for text in texts.into_iter().flatten() {
        assert!(
            text.len() <= MAX_TEXT_BYTES && !text.trim().is_empty() && !text.contains(char::is_control),
            "{text:?}"
        );
    }
    let canonical = claim.to_canonical_json();
    assert!(canonical.len() <= MAX_CLAIM_BYTES);
    assert_eq!(Claim::parse(canonical.as_bytes()).as_ref(), Ok(claim));
    let value = serde_json::from_str(&canonical).expect("the canonical form is JSON");
    assert_eq!(canonical_json(&value), canonical, "the canonical form is its own");
    // The order of the members and white space are not part of what is said.
    let spread = serde_json::to_string_pretty(claim).expect("a claim can be written");
    assert_eq!(Claim::parse(spread.as_bytes()).map(|spread| spread.hash()), Ok(claim.hash()));
    let _ = album_key(claim);
}
