//! What a statement can be given.

use sqlx::query::Query;
use sqlx::{Arguments, Database, Encode, Type};

/// A parameter of either database. A null has the type of what it stands for: PostgreSQL asks.
pub(in crate::store) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
    Bool(bool),
}

impl Value {
    pub(super) fn bind<'q, D, A>(query: Query<'q, D, A>, value: Self) -> Query<'q, D, A>
    where
        D: Database<Arguments = A>,
        A: Arguments<Database = D>,
        for<'t> Option<i64>: Encode<'t, D> + Type<D>,
        for<'t> Option<String>: Encode<'t, D> + Type<D>,
        for<'t> Option<Vec<u8>>: Encode<'t, D> + Type<D>,
        for<'t> bool: Encode<'t, D> + Type<D>,
    {
        match value {
            Self::Integer(value) => query.bind(value),
            Self::Text(value) => query.bind(value),
            Self::Blob(value) => query.bind(value),
            Self::Bool(value) => query.bind(value),
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(Some(value.into()))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl From<Option<u32>> for Value {
    fn from(value: Option<u32>) -> Self {
        Self::Integer(value.map(i64::from))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::from(Some(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::from(value.to_owned())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::from(value.clone())
    }
}

/// PostgreSQL has no NUL in texts. No text of ours needs one, so that neither database is given any.
impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value.map(|text| if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }))
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(Some(value.to_vec()))
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(Some(value))
    }
}

impl From<Option<Vec<u8>>> for Value {
    fn from(value: Option<Vec<u8>>) -> Self {
        Self::Blob(value)
    }
}
