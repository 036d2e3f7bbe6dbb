//! What is wrong with a command line, in the form of every other error.

use std::ffi::OsString;

use anyhow::anyhow;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use super::Cli;
use crate::failure::Failure;

/// How what clap says begins, which is said of every error.
const BEGIN: &str = "error: ";
/// How it ends; a hint that names the command is in its place.
const END: &str = "For more information, try '--help'.";

/// Reads a command line, the name of the program first. Help and version are printed where they are asked for, and help
/// where nothing is; that ends the process.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, Failure> {
    let words: Vec<OsString> = words.into_iter().collect();
    Cli::try_parse_from(&words).map_err(|error| {
        if let ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand = error.kind()
        {
            error.exit();
        }
        let said = error.render().to_string();
        let said = said.trim_end().trim_end_matches(END).trim_end();
        let said = said.strip_prefix(BEGIN).unwrap_or(said).to_owned();
        Failure::usage(anyhow!(said), hint(words.get(1)))
    })
}

/// Where to read on. The first word is the command: no switch goes before it.
fn hint(first: Option<&OsString>) -> String {
    let cli = Cli::command();
    let command = first.and_then(|word| cli.find_subcommand(word));
    command.map_or_else(
        || "peerctl --help has every command, with examples".to_owned(),
        |command| {
            format!("peerctl {} --help explains every word and switch, with examples", command.get_name())
        },
    )
}
