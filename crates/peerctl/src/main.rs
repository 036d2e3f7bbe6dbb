//! `peerctl`, the command line of a peer.

use std::process::ExitCode;

use clap::Parser as _;
use peerctl::cli::Cli;
use peerctl::output::{BAD, NAME, note};

fn main() -> ExitCode {
    match peerctl::run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            note(format_args!("{BAD}error:{BAD:#} {failure}"));
            note(format_args!("{NAME}hint:{NAME:#} {}", failure.hint()));
            failure.exit_code()
        }
    }
}
