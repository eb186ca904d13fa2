//! The secret that opens the local API.

use std::fmt;
use std::hint::black_box;

use choir_shared::base32;
use serde::{Deserialize, Serialize};

/// 256 random bits. Whoever can read the file that holds it (mode 0600) may use the API; nobody else can guess it.
///
/// Its text is 52 letters of base 32. `Debug` does not show it, so that no log does.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token([u8; 32]);

impl Token {
    /// A new one.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub fn parse(text: &str) -> Option<Self> {
        base32::decode(text).map(Self)
    }

    pub fn to_text(&self) -> String {
        base32::encode(&self.0)
    }

    /// Whether `text` is this token, in a time that does not depend on where they differ.
    pub fn matches(&self, text: &str) -> bool {
        Self::parse(text).is_some_and(|other| *self == other)
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).fold(0, |difference, (a, b)| black_box(difference | (a ^ b))) == 0
    }
}

impl Eq for Token {}

impl TryFrom<String> for Token {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a token is 52 letters of base 32")
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.to_text()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_matches() {
        let token = Token::random().unwrap();
        let text = token.to_text();
        assert!(token.matches(&text));
        assert!(!token.matches("") && !token.matches(&text.to_uppercase()) && !token.matches(&text[1..]));
        assert!(!token.matches(&Token::random().unwrap().to_text()));
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
