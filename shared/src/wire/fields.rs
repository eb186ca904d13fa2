//! Reads the fields of a message one after the other, and stops where an earlier version of it stopped.
//!
//! postcard takes the end of the payload for an error, so a message of yesterday, which lacks the field that was
//! appended today, would not parse. Here a payload may end before any field that has `#[serde(default)]`, which is
//! how an appended field is marked; an end within a field, or before one without the mark, is an error still.

use postcard::{Deserializer, Error};
use serde::de::{DeserializeOwned, DeserializeSeed, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

/// Bytes after the last field that is known are ignored.
pub(super) fn read<M: DeserializeOwned>(payload: &[u8]) -> Result<M, Error> {
    M::deserialize(Fields(payload))
}

/// What is left of the payload: as a deserializer one message, and then its fields.
struct Fields<'de>(&'de [u8]);

impl<'de> serde::Deserializer<'de> for Fields<'de> {
    type Error = Error;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(self)
    }

    /// Messages are structs.
    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::WontImplement)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de> SeqAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, field: S) -> Result<Option<S::Value>, Error> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let mut bytes = Deserializer::from_bytes(self.0);
        let value = field.deserialize(&mut bytes)?;
        self.0 = bytes.finalize()?;
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::read;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Yesterday {
        name: String,
        count: u32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Today {
        name: String,
        count: u32,
        #[serde(default)]
        colour: Option<u16>,
        #[serde(default = "seven")]
        days: u32,
    }

    fn seven() -> u32 {
        7
    }

    fn today() -> Today {
        Today { name: "Ada".into(), count: 300, colour: Some(1000), days: 400 }
    }

    #[test]
    fn a_message_of_yesterday_has_the_defaults_of_today() {
        let yesterday = postcard::to_stdvec(&Yesterday { name: "Ada".into(), count: 300 }).unwrap();
        assert_eq!(read(&yesterday), Ok(Today { colour: None, days: 7, ..today() }));
    }

    #[test]
    fn a_message_of_today_is_understood_yesterday() {
        let today = postcard::to_stdvec(&today()).unwrap();
        assert_eq!(read(&today), Ok(Yesterday { name: "Ada".into(), count: 300 }));
    }

    #[test]
    fn a_message_ends_between_fields_that_were_appended_and_nowhere_else() {
        let whole = postcard::to_stdvec(&today()).unwrap();
        // "Ada" with its length, two bytes of count, three of colour, two of days.
        assert_eq!(whole.len(), 4 + 2 + 3 + 2);
        for end in 0..whole.len() {
            let expected = match end {
                6 => Some(Today { colour: None, days: 7, ..today() }),
                9 => Some(Today { days: 7, ..today() }),
                _ => None,
            };
            assert_eq!(read(&whole[..end]).ok(), expected, "{end}");
        }
        assert_eq!(read(&whole), Ok(today()));
    }
}
