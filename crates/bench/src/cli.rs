//! The command line.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::compare::{
    CompareHttpArgs, CompareStunArgs, CompareTrackersArgs, CompareUdpArgs, RegistrationsArgs,
};
use crate::flood::FloodArgs;
use crate::http::HttpArgs;
use crate::http::bare::BareHttpArgs;
use crate::interrupt::{Interrupted, unless_interrupted};
use crate::mappings::MappingsArgs;
use crate::nodes::NodesArgs;
use crate::plan::PlanArgs;
use crate::scale::ScaleArgs;
use crate::stops::StopsArgs;
use crate::udp::UdpArgs;
use crate::udp::echo::UdpEchoArgs;
use crate::{compare, flood, http, mappings, nodes, plan, scale, stops, udp};

/// Exit code of a program that a signal stopped, by custom of shells.
const INTERRUPTED: u8 = 130;

/// Load generators for the tracker and the matchmaker, and the bare limits to compare them with
///
/// Start with `bench compare http` and `bench compare udp`: they start everything they need, measure it
/// against a limit in the same minutes, and remove it again. `bench http` and `bench udp` measure a server
/// that runs already.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Http(HttpArgs),
    BareHttp(BareHttpArgs),
    Udp(UdpArgs),
    UdpEcho(UdpEchoArgs),
    #[command(subcommand)]
    Compare(Compare),
    Mappings(MappingsArgs),
    Registrations(RegistrationsArgs),
    Scale(ScaleArgs),
    Stops(StopsArgs),
    Flood(FloodArgs),
    Nodes(NodesArgs),
    Plan(PlanArgs),
}

/// Measure our servers and the bare limit in turns
#[derive(Debug, Subcommand)]
enum Compare {
    Http(CompareHttpArgs),
    Udp(CompareUdpArgs),
    Stun(CompareStunArgs),
    Trackers(CompareTrackersArgs),
}

/// Runs what the command line asks for, and says on standard error what went wrong.
pub fn run(cli: &Cli) -> ExitCode {
    match dispatch(&cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            if error.is::<Interrupted>() { ExitCode::from(INTERRUPTED) } else { ExitCode::FAILURE }
        }
    }
}

fn dispatch(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::BareHttp(args) => http::bare::run(args),
        Command::UdpEcho(args) => udp::echo::run(args),
        Command::Http(args) => measure(http::run(args)),
        Command::Udp(args) => measure(udp::run(args)),
        Command::Compare(Compare::Http(args)) => measure(compare::http(args)),
        Command::Compare(Compare::Udp(args)) => measure(compare::udp(args)),
        Command::Compare(Compare::Stun(args)) => measure(compare::stun(args)),
        Command::Compare(Compare::Trackers(args)) => measure(compare::trackers(args)),
        Command::Mappings(args) => measure(mappings::run(args)),
        Command::Registrations(args) => measure(compare::registrations(args)),
        Command::Scale(args) => measure(scale::run(args)),
        Command::Stops(args) => measure(stops::run(args)),
        Command::Flood(args) => measure(flood::run(args)),
        Command::Nodes(args) => measure(nodes::run(args)),
        Command::Plan(args) => plan::run(args),
    }
}

fn measure(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    // One thread: a generator that took more would take it from the server on a small machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(unless_interrupted(work))
}

/// A length of time on the command line: a whole number with `ms`, `s` or `m`.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let digits = text.strip_suffix(unit).unwrap_or_default();
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return Err(format!("{text:?} is not like 500ms, 10s or 2m")),
    };
    let number: u32 = digits.parse().map_err(|_| format!("{text:?} is not like 500ms, 10s or 2m"))?;
    match Duration::from_millis(u64::from(number) * millis_per_unit) {
        Duration::ZERO => Err("must be longer than nothing".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lengths_are_read_with_their_unit() {
        assert_eq!(length("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(length("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(length("2m"), Ok(Duration::from_mins(2)));
    }

    #[test]
    fn lengths_without_unit_or_of_nothing_are_refused() {
        for text in ["", "10", "s", "-1s", "1.5s", "10h", "0s", "99999999999s"] {
            assert!(length(text).is_err(), "{text}");
        }
    }
}
