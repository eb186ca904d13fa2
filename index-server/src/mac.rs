//! HMAC-SHA256 (RFC 2104): how the index recognises what it once said without remembering it.

use std::hint::black_box;

use choir_shared::Digest;

/// SHA-256 works on blocks of so many bytes.
const BLOCK_BYTES: usize = 64;

/// A key for one purpose.
#[derive(Clone)]
pub(crate) struct MacKey([u8; 32]);

impl MacKey {
    /// Different purposes get keys that tell nothing of each other, nor of the secret.
    pub(crate) fn derive(secret: &[u8; 32], purpose: &str) -> Self {
        Self(*Self(*secret).mac(&[purpose.as_bytes()]).as_bytes())
    }

    /// The code of the concatenation of `parts`.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> Digest {
        let inner = Digest::of_parts(&[&[&self.pad(0x36)[..]], parts].concat());
        Digest::of_parts(&[&self.pad(0x5c), inner.as_bytes()])
    }

    /// Compares every byte whatever the first ones are, so that the time taken tells a forger nothing.
    pub(crate) fn verifies(&self, parts: &[&[u8]], code: &[u8; 32]) -> bool {
        let expected = self.mac(parts);
        let difference = expected.as_bytes().iter().zip(code).fold(0, |sum, (ours, theirs)| sum | (ours ^ theirs));
        black_box(difference) == 0
    }

    fn pad(&self, with: u8) -> [u8; BLOCK_BYTES] {
        let mut block = [with; BLOCK_BYTES];
        block.iter_mut().zip(self.0).for_each(|(byte, key)| *byte ^= key);
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_rfc_4231_test_case_1() {
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
        assert_eq!(MacKey(key).mac(&[b"Hi ", b"There"]).to_string(), expected);
    }

    #[test]
    fn one_wrong_bit_is_seen_and_purposes_differ() {
        let key = MacKey::derive(&[1; 32], "one");
        let mut code = *key.mac(&[b"message"]).as_bytes();
        assert!(key.verifies(&[b"message"], &code));
        assert!(!MacKey::derive(&[1; 32], "other").verifies(&[b"message"], &code));
        code[31] ^= 1;
        assert!(!key.verifies(&[b"message"], &code));
    }
}
