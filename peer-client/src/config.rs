//! Where this peer keeps its things, and what its owner wants.
//!
//! [`Home`] has the folders. [`Settings`] are what may be chosen, each with where the choice was made: flags win over
//! `CHOIR_*` variables, those over the settings file, that over the defaults. A key that nobody knows is an error
//! with its line and the nearest name, because a misspelt limit that is silently ignored is no limit.
//!
//! Which indexes this peer has joined is no setting: it changes by command and lives in the state
//! ([`Memberships`](crate::index_client::Memberships)).

mod home;
mod resolve;
mod schedule;
mod settings;
mod template;
mod value;

pub use home::{Home, NoHome};
pub use resolve::{ConfigError, Flag, Origin, Problems, Setting, SettingRow, Source};
pub use schedule::{Schedule, Scheduled, WeekMinute};
pub use settings::Settings;
pub use template::{Field, InvalidTemplate, MAX_TEMPLATE_BYTES, MAX_TEMPLATE_FOLDERS, Place, Template};
pub use value::{Congestion, Count, Folder, Names, Optional, Rate, ShareDownloads, Switch, UploadRate};
