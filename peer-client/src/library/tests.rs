//! The library as a whole, on real files and a real database.

mod changes;
mod mirror;
mod publishing;
mod sharing;
mod world;
