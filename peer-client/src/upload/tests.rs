//! Uploads between real endpoints on loopback.

mod admission;
mod leaving;
mod parts;
mod serving;
mod sharer;
mod slots;
mod visitor;
