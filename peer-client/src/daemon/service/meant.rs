//! Whom a text means: a key, or a display name.
//!
//! - **A key means itself.** No index is asked. There is no short form: letters that fit a screen can be found by
//!   trying keys.
//! - **A name means what indexes say.** All that a request is about are asked, because the same name may be somebody
//!   else's at each; two keys are an error that names both, and the person chooses the index or the key.
//! - **An index that does not answer might have named another.** To look at somebody the others' word is enough; to
//!   ban somebody it is not ([`Meant::certain`]).
//! - **What looks like a name is not the name.** An index says whose name it looks like, and a person decides.

use std::fmt;

use choir_shared::PeerId;
use choir_shared::index_api::people::MAX_NAME_CHARS;
use choir_shared::index_api::{ErrorCode, Profile};
use futures_util::future::join_all;

use super::PeerService;
use crate::api::types::Within;
use crate::api::{Answer, ErrorKind, ServiceError};
use crate::daemon::errors::index_error;
use crate::index_client::IndexError;

/// What helps wherever a name does not tell who is meant.
const CHOOSE: &str = "`--index NAME` asks one index only; a key means the same peer everywhere";

/// Somebody who is meant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Meant {
    pub(super) peer: PeerId,
    /// As an index has it, if a name was given.
    pub(super) name: Option<String>,
    /// Why an index did not say whom it knows by that name.
    doubt: Option<ServiceError>,
}

impl Meant {
    /// The same, if every index has answered.
    pub(super) fn certain(self) -> Answer<Self> {
        match self.doubt {
            None => Ok(self),
            Some(doubt) => Err(doubt),
        }
    }
}

impl fmt::Display for Meant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.peer),
            None => self.peer.fmt(f),
        }
    }
}

/// What one index said of a name.
struct Word {
    index: String,
    said: Result<Profile, IndexError>,
}

impl PeerService {
    pub(super) async fn meant(&self, who: &str, within: &Within) -> Answer<Meant> {
        if let Ok(peer) = who.parse() {
            return Ok(Meant { peer, name: None, doubt: None });
        }
        let name = name(who)?;
        let asked = self.indexes.within(within).await?.into_iter().filter_map(|key| self.client.index(&key));
        let words =
            asked.map(async |index| Word { index: self.name_of(&index.key()), said: index.profile_named(&name).await });
        agreed(&name, join_all(words).await)
    }
}

/// The name that a text may be, with blanks as indexes keep them.
fn name(text: &str) -> Answer<String> {
    let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if (1..=MAX_NAME_CHARS).contains(&name.chars().count()) {
        return Ok(name);
    }
    let error = ServiceError::new(ErrorKind::Usage, format!("{text} is neither a name nor a key"));
    Err(error.hint(format!("a name has 1 to {MAX_NAME_CHARS} characters, a key 52 small letters and digits")))
}

/// Whom the words of all indexes mean.
fn agreed(name: &str, words: Vec<Word>) -> Answer<Meant> {
    let (mut named, mut look_alikes, mut failures) = (Vec::<(String, Profile)>::new(), Vec::new(), Vec::new());
    for Word { index, said } in words {
        match said {
            Ok(profile) => named.push((index, profile)),
            Err(IndexError::Refused(problem)) if problem.code == ErrorCode::NotFound => {
                look_alikes.extend(problem.detail.map(|detail| format!("{index}: {detail}")));
            }
            Err(error) => failures.push((index, index_error(&error))),
        }
    }
    let Some((_, first)) = named.first() else {
        if let Some((_, failure)) = failures.pop() {
            return Err(failure);
        }
        let error = ServiceError::new(ErrorKind::NotFound, format!("nobody is called {name}"));
        return Err(if look_alikes.is_empty() { error } else { error.hint(look_alikes.join("; ")) });
    };
    if named.iter().any(|(_, profile)| profile.peer != first.peer) {
        let each = named.iter().map(|(index, profile)| {
            format!("{} ({}) at {index}", profile.name.as_deref().unwrap_or_default(), profile.peer)
        });
        let message = format!("{name} is more than one peer: {}", each.collect::<Vec<_>>().join(", "));
        return Err(ServiceError::new(ErrorKind::Ambiguous, message).hint(CHOOSE));
    }
    let doubt = failures.pop().map(|(index, failure)| {
        let message = format!("{index} does not say whether its {name} is the same: {}", failure.message);
        ServiceError::new(failure.code, message).hint(CHOOSE)
    });
    Ok(Meant { peer: first.peer, name: first.name.clone(), doubt })
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;
    use choir_shared::index_api::Problem;

    use super::*;
    use crate::api::Exit;

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_seed(&[seed; 32]).peer_id()
    }

    fn knows(index: &str, seed: u8, name: &str) -> Word {
        let profile = Profile {
            peer: peer(seed),
            name: Some(name.to_owned()),
            online: true,
            member_since_unix_s: 0,
            files: 0,
            bytes: 0,
            browsable: true,
        };
        Word { index: index.to_owned(), said: Ok(profile) }
    }

    fn fails(index: &str, error: IndexError) -> Word {
        Word { index: index.to_owned(), said: Err(error) }
    }

    fn knows_nobody(index: &str) -> Word {
        fails(index, IndexError::Refused(Problem::new(ErrorCode::NotFound)))
    }

    fn is_away(index: &str) -> Word {
        let url = "http://127.0.0.1:1".parse().unwrap();
        fails(index, IndexError::Unreachable { url, reason: "no answer".to_owned() })
    }

    fn refuses(index: &str) -> Word {
        fails(index, IndexError::Banned { reason: None })
    }

    #[test]
    fn all_indexes_that_know_a_name_must_mean_the_same_key() {
        let one = agreed("bob", vec![knows("home", 1, "Bob"), knows_nobody("work"), knows("club", 1, "BOB")]).unwrap();
        assert_eq!((one.peer, one.name.as_deref()), (peer(1), Some("Bob")));
        assert_eq!(one.clone().certain(), Ok(one));

        let two = agreed("bob", vec![knows("home", 1, "Bob"), knows("work", 2, "bob")]).unwrap_err();
        assert_eq!((two.code, two.exit()), (ErrorKind::Ambiguous, Exit::NotFound));
        for part in [&peer(1).to_string(), &peer(2).to_string(), "Bob", "home", "work"] {
            assert!(two.message.contains(part), "{part}: {two}");
        }
        assert!(two.hint.unwrap().contains("--index"));
    }

    #[test]
    fn a_silent_index_leaves_a_doubt_that_is_too_much_for_a_ban() {
        let seen = agreed("bob", vec![is_away("work"), knows("home", 1, "Bob")]).unwrap();
        assert_eq!(seen.peer, peer(1));
        let doubt = seen.certain().unwrap_err();
        assert_eq!(doubt.exit(), Exit::Unreachable);
        assert!(doubt.message.starts_with("work does not say"), "{doubt}");
    }

    #[test]
    fn who_is_not_found_is_missed_for_the_right_reason() {
        let table = [
            (vec![knows_nobody("home"), knows_nobody("work")], Exit::NotFound),
            (vec![knows_nobody("home"), is_away("work")], Exit::Unreachable),
            (vec![knows_nobody("home"), refuses("work")], Exit::Refused),
        ];
        for (words, exit) in table {
            assert_eq!(agreed("bob", words).unwrap_err().exit(), exit);
        }
        let told = Problem::new(ErrorCode::NotFound).detail("Bob looks like it");
        let look_alike = agreed("b0b", vec![fails("home", IndexError::Refused(told))]).unwrap_err();
        assert_eq!(look_alike.hint.as_deref(), Some("home: Bob looks like it"));
    }

    #[test]
    fn what_can_be_no_name_is_not_asked_for() {
        assert_eq!(name("  Anna   Björk ").unwrap(), "Anna Björk");
        assert_eq!(name(&"愛".repeat(32)).unwrap(), "愛".repeat(32));
        for text in ["", " ", &"x".repeat(33), &peer(1).to_string().to_uppercase()] {
            assert_eq!(name(text).unwrap_err().exit(), Exit::Usage, "{text:?}");
        }
    }
}
