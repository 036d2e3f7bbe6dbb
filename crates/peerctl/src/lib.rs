//! The command line of a peer. `main.rs` reads the command line, everything else is here.

pub mod claims;
pub mod cli;
mod commands;
pub mod digest;
mod failure;
pub mod identity;
mod netcheck;
pub mod output;
mod rendezvous;
pub mod site;
mod talk;
pub mod tracker;
pub mod transfer;

pub use commands::run;
pub use failure::Failure;
