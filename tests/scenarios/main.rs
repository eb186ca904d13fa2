//! Whole-network stories with real processes, real sockets and real databases.
//!
//! Each module tells the stories of one part of the design; `harness` makes their worlds.

// A failed unwrap is a failed test, in the helpers as well.
#![allow(clippy::unwrap_used)]

mod access;
mod albums;
mod alternates;
mod database_faults;
mod deaths;
mod hostile_peers;
mod index_faults;
mod liars;
mod library;
mod main_job;
mod names;
mod one_home;
mod operators;
mod postgres;
mod replicas;
mod resume;
mod search_at_size;
mod simulated;
mod slow_clients;
mod swarm;
