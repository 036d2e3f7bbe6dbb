//! The `tracker` program.

use std::process::ExitCode;

use clap::Parser;
use service::settings::Sources;
use service::{Failure, Flags, exit_code, parse_flags, shutdown_on_signal, telemetry};
use tracker::{Move, Tracker, TrackerSettings};

/// What the program is told on its command line.
#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    flags: Flags,
    /// Without one, it serves
    #[command(subcommand)]
    moving: Option<Move>,
}

fn main() -> ExitCode {
    exit_code("tracker", run())
}

fn run() -> Result<(), Failure> {
    let CommandLine { flags, moving } =
        parse_flags("tracker", env!("CARGO_PKG_VERSION"), "Remembers which peer has which file, over HTTP.")?;
    let settings = Sources::of_this_process(flags.config.clone())?.load()?;
    if let Some(moving) = moving {
        // Without a log, which would go where the lines go.
        let settings = TrackerSettings::read(&settings)?;
        let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::run("runtime", error))?;
        return runtime.block_on(moving.run(settings));
    }
    let _telemetry = telemetry::init(&settings)?;
    let settings = TrackerSettings::read(&settings)?.with_flags(&flags)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::run("runtime", error))?;
    runtime.block_on(async {
        let shutdown = shutdown_on_signal()?;
        Tracker::bind(settings, None).await?.run(shutdown).await
    })
}
