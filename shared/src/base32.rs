//! RFC 4648 base 32 of 32-byte keys: lower case, no padding, one text for each key.

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// 32 bytes are 256 bits: 51 letters of five bits and one of a single bit.
pub const KEY_LETTERS: usize = 52;

pub fn encode(key: &[u8; 32]) -> String {
    let mut text = String::with_capacity(KEY_LETTERS);
    let mut buffer = 0u32;
    let mut bits = 0;
    let mut push = |five_bits: u32| text.push(char::from(ALPHABET[(five_bits & 31) as usize]));
    for &byte in key {
        buffer = buffer << 8 | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push(buffer >> bits);
        }
    }
    push(buffer << (5 - bits));
    text
}

/// `None` for anything that [`encode`] does not produce, the four unused bits of the last letter included.
pub fn decode(text: &str) -> Option<[u8; 32]> {
    if text.len() != KEY_LETTERS {
        return None;
    }
    let mut key = [0; 32];
    let mut bytes = key.iter_mut();
    let mut buffer = 0u32;
    let mut bits = 0;
    for letter in text.bytes() {
        let five_bits = ALPHABET.iter().position(|&known| known == letter)?;
        buffer = buffer << 5 | five_bits as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *bytes.next()? = (buffer >> bits) as u8;
            buffer &= (1 << bits) - 1;
        }
    }
    (buffer == 0).then_some(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn agrees_with_coreutils() {
        // printf '%s' "0123456789abcdef0123456789abcdef" | base32 | tr A-Z a-z | tr -d =
        assert_eq!(encode(b"0123456789abcdef0123456789abcdef"), "gaytemzugu3doobzmfrggzdfmyydcmrtgq2tmnzyhfqwey3emvta");
    }

    proptest! {
        #[test]
        fn one_text_for_each_key(key: [u8; 32], other_last in "[a-z2-7]") {
            let text = encode(&key);
            prop_assert_eq!(decode(&text), Some(key));
            let other = format!("{}{other_last}", &text[..KEY_LETTERS - 1]);
            prop_assert!(other == text || decode(&other) != Some(key));
        }

        #[test]
        fn junk_is_refused(text in ".{0,60}") {
            if let Some(key) = decode(&text) {
                prop_assert_eq!(encode(&key), text);
            }
        }
    }
}
