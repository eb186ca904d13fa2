//! The only door: a local HTTP API that the web page and the commands share.
//!
//! - [`types`] is the JSON, [`error`] the words for what goes wrong, [`service`] what the daemon must be able to do.
//! - [`server`] answers HTTP, [`routes`] is the whole API on one page, [`guard`] decides who may ask at all.
//! - [`client`] asks the same things over the same door; [`door`] is how a command finds it; [`sse`] reads events.
//!
//! The rules of the guard and their reasons are told there. In short: this program has power over the user's files,
//! and every web page that the user visits can send requests to it.

pub mod client;
pub mod door;
pub mod error;
mod events;
pub mod guard;
mod handlers;
mod routes;
pub mod server;
pub mod service;
pub mod sse;
pub mod token;
pub mod types;

#[cfg(test)]
pub(crate) mod fake;

pub use client::ApiClient;
pub use error::{Answer, ErrorBody, ErrorKind, Exit, ServiceError};
pub use server::{ServeError, serve};
pub use service::Service;
pub use token::Token;

/// Every route but the page begins so; another major version would begin with `/api/v2`.
pub const PREFIX: &str = "/api/v1";
