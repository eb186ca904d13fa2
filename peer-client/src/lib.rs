//! A peer of a Choir network: shares a music folder, searches, downloads.
//!
//! Layers; imports point down only:
//!
//! | layer | modules |
//! |---|---|
//! | faces | [`cli`] |
//! | the only door | [`api`]: a local HTTP API, which every face uses |
//! | composition root | [`daemon`]: builds the parts, owns every task, ends them in order |
//! | the work | [`download`], [`upload`], [`library`], [`index_client`] |
//! | the means | [`session`]: typed messages over one connection; [`store`]: verified bytes on disk; [`database`] |
//! | the road | [`connectivity`]: quinn appears here and in `session` only |
//! | the ground | [`identity`], [`config`], `clock`, [`allocator`]; [`pace`]: a limit, shared fairly; [`rate`]: how fast bytes go |

pub mod allocator;
pub mod api;
pub mod cli;
mod clock;
pub mod config;
pub mod connectivity;
pub mod daemon;
pub mod database;
pub mod download;
pub mod identity;
pub mod index_client;
pub mod library;
pub mod pace;
pub mod rate;
pub mod session;
pub mod store;
pub mod upload;
