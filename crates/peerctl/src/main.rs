//! `peerctl`, the command line of a peer.

use std::process::ExitCode;

use clap::Parser as _;
use peerctl::cli::Cli;
use peerctl::output::{BAD, note};

fn main() -> ExitCode {
    match peerctl::run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            note(format_args!("{BAD}error:{BAD:#} {failure}"));
            failure.exit_code()
        }
    }
}
