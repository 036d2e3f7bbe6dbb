use std::path::PathBuf;

use clap::Parser;

use crate::Failure;

/// The flags of every service. A flag wins over the environment, which wins over the file, which wins over the
/// built-in default.
#[derive(Debug, Default, Parser)]
pub struct Flags {
    /// Address to listen on, in place of those in the settings: an IPv4 or IPv6 address, or `localhost`
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,

    /// Port to listen on, in place of that in the settings; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,

    /// Settings file in TOML; deploy/settings.sample.toml has all settings with their defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Flags {
    /// Reads the command line of `program`. `--help` and `--version` come back as a [`Failure::Usage`] that
    /// exits with 0.
    pub fn parse(program: &'static str, version: &'static str, about: &'static str) -> Result<Self, Failure> {
        parse(program, version, about)
    }
}

/// The flags of a process with several services, whose addresses are settings of their own.
#[derive(Debug, Default, Parser)]
pub struct StandaloneFlags {
    /// Settings file in TOML; deploy/settings.sample.toml has all settings with their defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl StandaloneFlags {
    /// As [`Flags::parse`].
    pub fn parse(program: &'static str, version: &'static str, about: &'static str) -> Result<Self, Failure> {
        parse(program, version, about)
    }
}

/// Reads the command line of `program` into any flags, as [`Flags::parse`] does.
pub fn parse<F: Parser>(
    program: &'static str,
    version: &'static str,
    about: &'static str,
) -> Result<F, Failure> {
    let command = F::command().name(program).bin_name(program).version(version).about(about);
    let matches = command.try_get_matches().map_err(Failure::Usage)?;
    F::from_arg_matches(&matches).map_err(Failure::Usage)
}
