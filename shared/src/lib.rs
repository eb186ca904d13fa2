//! What Choir's programs agree on, byte for byte.
//!
//! Nothing here does I/O, waits, or reads a clock: bytes and times come in, values go out.
//!
//! **Content.**
//! [`digest`] is 32 bytes of SHA-256; [`leaf`] cuts a file into leaves; [`lanes`] hashes leaves side by side;
//! [`merkle`] makes the tree above them and checks what strangers send; [`file_id`] names a file for good;
//! [`audio`] finds the part of a file that tag editors leave alone.
//!
//! **People.**
//! [`identity`] has the keys of peers and indexes and what each signature covers;
//! [`ticket`] is an index's word that a peer is a member; [`link`] has the `choir:` links.
//!
//! **Libraries.**
//! [`claim`] is what a holder says of a file; [`library`] the digest and signed head of a whole collection;
//! [`album`] groups claims into albums; [`safe_name`] makes a stranger's name safe to use as a file name;
//! [`text`] folds words so that `BJÖRK` finds `bjork`; [`query`] is a search.
//!
//! **Talk.**
//! [`wire`] is the peer protocol; [`rendezvous`] how a peer learns its own address;
//! [`index_api`] the HTTP API of the index; [`control`] the messages of its control connection;
//! [`address`] sorts addresses by how far they reach; [`dial`] decides which of them may be dialled at all.
//!
//! `PROTOCOL.md` beside this crate tells the same in prose, complete enough to write a second client from.

pub mod address;
pub mod album;
pub mod audio;
pub mod base32;
pub mod claim;
pub mod control;
pub mod dial;
pub mod digest;
pub mod file_id;
pub mod identity;
pub mod index_api;
pub mod lanes;
pub mod leaf;
pub mod library;
pub mod link;
pub mod merkle;
#[cfg(feature = "openapi")]
mod openapi;
#[cfg(test)]
mod page;
pub mod query;
pub mod rendezvous;
pub mod safe_name;
pub mod text;
pub mod ticket;
pub mod wire;

pub use claim::Claim;
pub use digest::Digest;
pub use file_id::FileId;
pub use identity::PeerId;
pub use safe_name::SafeName;
