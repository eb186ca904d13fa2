//! The indexes this peer belongs to.

use choir_shared::identity::IndexKey;
use choir_shared::index_api::Access;
use serde::{Deserialize, Serialize};

/// Which indexes a request is about, by name or URL; none means all that are joined.
///
/// In a query string they are one parameter, `index=a,b`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Within(pub Vec<String>);

impl Within {
    pub fn to_parameter(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(","))
    }

    pub fn from_parameter(parameter: Option<&str>) -> Self {
        let names = parameter.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
        Self(names.map(str::to_owned).collect())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Indexes {
    pub indexes: Vec<IndexStatus>,
}

/// One index that this peer has joined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexStatus {
    pub url: String,
    /// What its operator calls it.
    pub name: String,
    /// `None` until it answered for the first time.
    pub key: Option<IndexKey>,
    pub state: IndexState,
    /// Why the state is what it is, in words.
    pub reason: Option<String>,
    /// The display name of this peer there.
    #[serde(default)]
    pub my_name: Option<String>,
    /// Whether it is asked first and named in links.
    #[serde(default)]
    pub default: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexState {
    /// Logged in, and the control connection stands.
    Online,
    Connecting,
    /// It does not answer; `reason` says how.
    Unreachable,
    /// It answers and says no: banned, invite needed, another key.
    Refused,
}

/// An index before it is joined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexPreview {
    pub url: String,
    pub name: String,
    pub key: IndexKey,
    /// Whether the link named this very key.
    pub key_from_link: bool,
    pub access: Access,
    pub contact: Option<String>,
    pub rules: Option<String>,
    pub message_of_the_day: Option<String>,
    /// Whether this peer is a member already.
    pub joined: bool,
}

/// `POST /indexes`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// A `choir:join/…` link or a URL.
    pub link: String,
    /// The display name to ask for.
    #[serde(default)]
    pub name: Option<String>,
}

/// `PUT /name`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_of_indexes_survives_a_query_string() {
        for names in [vec![], vec!["home".to_owned()], vec!["home".to_owned(), "http://127.0.0.1:8888".to_owned()]] {
            let within = Within(names);
            assert_eq!(Within::from_parameter(within.to_parameter().as_deref()), within);
        }
        assert_eq!(Within::from_parameter(Some(" a,, b ,")), Within(vec!["a".into(), "b".into()]));
    }
}
