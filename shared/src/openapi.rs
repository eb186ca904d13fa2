//! What the types of the HTTP API that have a text of their own look like in its OpenAPI document.
//!
//! Structs of named fields describe themselves, by their fields and comments.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::identity::{IndexKey, Signature};
use crate::index_api::ErrorCode;
use crate::library::LibraryDigest;
use crate::{Claim, Digest, FileId, PeerId};

macro_rules! texts {
    ($($type:ident matches $pattern:literal, $description:literal;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String);
                text.pattern(Some($pattern)).description(Some($description)).into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                stringify!($type).into()
            }
        }
    )*};
}

texts! {
    FileId matches "^[0-9a-f]{64}-[1-9][0-9]*$", "The Merkle root of a file and its length in bytes.";
    PeerId matches "^[a-z2-7]{52}$", "A peer's public key, in base 32.";
    IndexKey matches "^[a-z2-7]{52}$", "An index's public key, in base 32.";
    Signature matches "^[0-9a-f]{128}$", "An Ed25519 signature.";
    Digest matches "^[0-9a-f]{64}$", "A SHA-256 hash.";
    LibraryDigest matches "^[0-9a-f]{64}$", "The sum of the hashes of a collection's holdings.";
}

impl PartialSchema for Claim {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new().schema_type(Type::Object);
        object
            .description(Some("What a holder says of a file; PROTOCOL.md has the fields. Unknown ones are kept."))
            .into()
    }
}

impl ToSchema for Claim {}

impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        let codes = Self::ALL.iter().map(|code| serde_json::to_value(code).unwrap_or_default());
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes.collect::<Vec<_>>())).into()
    }
}

impl ToSchema for ErrorCode {}

#[cfg(test)]
mod tests {
    use crate::identity::SecretKey;

    use super::*;

    /// The length that a pattern asks for, if it is one of letters repeated.
    fn letters<T: PartialSchema>() -> Option<usize> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        let (_, count) = schema["pattern"].as_str()?.rsplit_once('{')?;
        count.strip_suffix("}$")?.parse().ok()
    }

    fn text(value: &impl serde::Serialize) -> usize {
        serde_json::to_value(value).unwrap().as_str().unwrap().len()
    }

    #[test]
    fn patterns_are_as_long_as_the_texts() {
        let secret = SecretKey::from_seed(&[1; 32]);
        assert_eq!(letters::<PeerId>(), Some(text(&secret.peer_id())));
        assert_eq!(letters::<IndexKey>(), Some(text(&secret.index_key())));
        assert_eq!(letters::<Digest>(), Some(text(&Digest::ZERO)));
        assert_eq!(letters::<LibraryDigest>(), Some(text(&LibraryDigest::EMPTY)));
        assert_eq!(letters::<Signature>(), Some(text(&Signature::new([7; 64]))));
    }
}
