//! Whole-network stories with real processes, real sockets and real databases.
//!
//! Each module tells the stories of one part of the design; `harness` makes their worlds.

mod access;
mod hostile_peers;
mod index_faults;
mod library;
mod main_job;
mod one_home;
mod resume;
