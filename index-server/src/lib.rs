//! Choir's index server: it knows who holds which songs, who is online, and introduces peers to each other.
//! File bytes never pass through it.
//!
//! **Start and stop.** [`run()`] builds the parts, owns every task and stops them in order. [`settings`] is what the
//! operator decides; `data_dir` the folder it owns; `keys` its identity; `first_invite` and `join_link` how the first
//! members come in; [`admin`] the operator's door; [`observe`] metrics and logs;
//! [`maintenance`] backups, checks and upgrades of a folder.
//!
//! **The way in.** `serve` has TCP, TLS and HTTP/1.1; `admission` counts connections; `origin` says where a request
//! comes from; `auth` who sends it; `limits` how often. `routes` is the whole HTTP API, `input` what requests carry,
//! `error` what is answered when something is wrong.
//!
//! **What it knows.** [`store`] keeps accounts and libraries, and `sweeper` has it rid itself of what nobody shares any
//! more; [`search`] finds files by words, fed by `indexer`; [`online`] has what can be had from whom; `blocks` what the operator lets nobody find. `index` holds it all
//! together.
//!
//! **Who is here.** `control` is one peer's WebSocket; `presence` who is online and for how long; `watches` who waits
//! for which file; `rendezvous` where peers learn their own address, and the index learns it too; `replicas` the other
//! programs that serve the same index.

pub mod admin;
mod admission;
mod auth;
mod blocks;
mod clock;
mod control;
mod data_dir;
mod error;
mod first_invite;
mod giving_way;
mod index;
mod indexer;
mod input;
mod join_link;
mod keys;
mod limits;
mod locks;
mod mac;
pub mod maintenance;
pub mod observe;
pub mod online;
mod origin;
mod presence;
mod rendezvous;
mod replicas;
mod routes;
mod run;
pub mod search;
mod serve;
pub mod settings;
pub mod store;
mod sweeper;
mod turns;
mod uploads;
mod watches;

pub use run::{Ready, RunError, run};
