//! `bench`: measures the services, and the limits that they are held against.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    bench::run(&bench::Cli::parse())
}
