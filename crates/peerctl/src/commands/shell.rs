use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;

/// Prints what a shell sources to complete our command lines.
pub(super) fn completion(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "peerctl", &mut script);
    Ok(io::stdout().write_all(&script)?)
}

/// Prints the manual: a page for `peerctl`, and one for each command after it.
pub(super) fn manual() -> Result<(), Failure> {
    let mut cli = Cli::command();
    cli.build();
    let mut pages = Vec::new();
    clap_mangen::Man::new(cli.clone()).render(&mut pages)?;
    for command in cli.get_subcommands() {
        clap_mangen::Man::new(command.clone()).render(&mut pages)?;
    }
    Ok(io::stdout().write_all(&pages)?)
}
