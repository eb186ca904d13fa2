//! What a statement gives back.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type};

use crate::store::error::StoreError;

/// A row of either database.
pub(in crate::store) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What a whole row can be read as: a column, several of them as a tuple, or the row itself.
pub(in crate::store) trait FromRow: Sized {
    fn from_row(row: Row) -> Result<Self, StoreError>;
}

/// What a column can be read as.
pub(in crate::store) trait Column<'r>: Sized {
    /// What both databases have. Their integers have 64 bits and a sign.
    type Stored: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>;

    fn from_stored(stored: Self::Stored) -> Result<Self, StoreError>;
}

impl Row {
    /// One column, by its name or its place.
    pub(in crate::store) fn get<'r, T: Column<'r>>(
        &'r self,
        column: impl ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    ) -> Result<T, StoreError> {
        T::from_stored(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }
}

impl FromRow for Row {
    fn from_row(row: Row) -> Result<Self, StoreError> {
        Ok(row)
    }
}

macro_rules! stored_as_itself {
    ($($column:ty),*) => {$(
        impl<'r> Column<'r> for $column {
            type Stored = Self;

            fn from_stored(stored: Self) -> Result<Self, StoreError> {
                Ok(stored)
            }
        }
    )*};
}

stored_as_itself!(i64, bool, String, Vec<u8>, &'r str, &'r [u8]);

macro_rules! stored_as_integer {
    ($($column:ty),*) => {$(
        impl Column<'_> for $column {
            type Stored = i64;

            fn from_stored(stored: i64) -> Result<Self, StoreError> {
                Self::try_from(stored).map_err(|_| StoreError::Corrupt("a number out of range"))
            }
        }
    )*};
}

stored_as_integer!(u32, u64);

impl<'r, T: Column<'r>> Column<'r> for Option<T> {
    type Stored = Option<T::Stored>;

    fn from_stored(stored: Self::Stored) -> Result<Self, StoreError> {
        stored.map(T::from_stored).transpose()
    }
}

macro_rules! rows_of_one_column {
    ($($column:ty),*) => {$(
        impl FromRow for $column {
            fn from_row(row: Row) -> Result<Self, StoreError> {
                row.get(0)
            }
        }
    )*};
}

rows_of_one_column!(i64, u32, u64, bool, String, Vec<u8>);

impl<T: for<'r> Column<'r>> FromRow for Option<T> {
    fn from_row(row: Row) -> Result<Self, StoreError> {
        row.get(0)
    }
}

macro_rules! rows_of_several_columns {
    ($(($($column:ident $place:tt),*))*) => {$(
        impl<$($column: for<'r> Column<'r>),*> FromRow for ($($column,)*) {
            fn from_row(row: Row) -> Result<Self, StoreError> {
                Ok(($(row.get($place)?,)*))
            }
        }
    )*};
}

rows_of_several_columns! {
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
}
