//! `peerctl`, the command line of a peer.

use std::env;
use std::process::ExitCode;

use peerctl::cli;
use peerctl::output::{BAD, NAME, note};

fn main() -> ExitCode {
    match cli::parse(env::args_os()).and_then(|cli| peerctl::run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            note(format_args!("{BAD}error:{BAD:#} {failure}"));
            note(format_args!("{NAME}hint:{NAME:#} {}", failure.hint()));
            failure.exit_code()
        }
    }
}
