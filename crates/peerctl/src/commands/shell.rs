use std::fs;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::cli::{Cli, CompletionsCommand, ManCommand};
use crate::failure::{Failure, OrHint as _};
use crate::output::{note, say_bytes};

/// Prints what a shell sources to complete our command lines.
pub(super) fn completions(command: &CompletionsCommand) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut Cli::command(), "peerctl", &mut script);
    say_bytes(&script)
}

/// Writes a page for `peerctl` and one for each command, or prints them one after the other.
pub(super) fn manual(command: &ManCommand) -> Result<(), Failure> {
    let hint = "name a directory that you may write to: peerctl man DIR";
    let Some(dir) = &command.dir else {
        return pages().or_hint(hint).and_then(|pages| say_bytes(&pages));
    };
    fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .with_context(|| format!("{} cannot be written", dir.display()))
        .or_hint(hint)?;
    note(format_args!("the pages are in {}", dir.display()));
    Ok(())
}

fn pages() -> std::io::Result<Vec<u8>> {
    let mut cli = Cli::command();
    cli.build();
    let mut pages = Vec::new();
    clap_mangen::Man::new(cli.clone()).render(&mut pages)?;
    for command in cli.get_subcommands() {
        clap_mangen::Man::new(command.clone()).render(&mut pages)?;
    }
    Ok(pages)
}
