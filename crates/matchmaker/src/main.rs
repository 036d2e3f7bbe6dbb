//! The `matchmaker` program.

use std::process::ExitCode;

use matchmaker::{Matchmaker, MatchmakerSettings};
use service::settings::Sources;
use service::{Failure, Flags, exit_code, shutdown_on_signal, telemetry};

fn main() -> ExitCode {
    exit_code("matchmaker", run())
}

fn run() -> Result<(), Failure> {
    let flags = Flags::parse(
        "matchmaker",
        env!("CARGO_PKG_VERSION"),
        "Lets two peers behind NATs find each other, over UDP.",
    )?;
    let settings = Sources::of_this_process(flags.config.clone())?.load()?;
    let _telemetry = telemetry::init(&settings)?;
    let settings = MatchmakerSettings::read(&settings)?.with_flags(&flags)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::run("runtime", error))?;
    runtime.block_on(async {
        let shutdown = shutdown_on_signal()?;
        Matchmaker::bind(&settings)?.run(shutdown).await
    })
}
