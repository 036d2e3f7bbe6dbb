//! Load generators, and the bare limits that we compare with.
//!
//! A figure of a server says little alone: it changes with the machine, with the load generator and with
//! whoever else was busy. So each comparison here starts the real release programs and a *bare limit* (the
//! same socket work with no thinking in between) in turns, and reports the ratio of the two beside the raw
//! figures. Every answer is checked; a wrong one is an error and never a fast success.

#![allow(clippy::print_stdout, reason = "a command line tool: standard output is where its result goes")]
#![allow(
    clippy::print_stderr,
    reason = "a command line tool: standard error is where it says what went wrong"
)]

mod cli;
mod compare;
mod cores;
mod figures;
mod flood;
mod http;
mod interrupt;
mod latency;
mod load;
mod mappings;
mod nodes;
mod pace;
mod plan;
mod process;
mod progress;
mod report;
mod scale;
mod servers;
mod stolen;
mod stops;
mod tally;
mod udp;

pub use cli::{Cli, run};
