//! The index as its members meet it: over sockets, in one process with the test.

// A failed unwrap is a failed test, in the helpers as well.
#![allow(clippy::unwrap_used)]

mod access;
mod http;
mod libraries;
mod limits;
mod meeting;
mod operator;
mod people;
mod tls;
mod web_socket;
mod world;
