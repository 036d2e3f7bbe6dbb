//! The `tracker` program.

use std::process::ExitCode;

use service::settings::Sources;
use service::{Failure, Flags, exit_code, shutdown_on_signal, telemetry};
use tracker::{Tracker, TrackerSettings};

fn main() -> ExitCode {
    exit_code("tracker", run())
}

fn run() -> Result<(), Failure> {
    let flags = Flags::parse(
        "tracker",
        env!("CARGO_PKG_VERSION"),
        "Remembers which peer has which file, over HTTP.",
    )?;
    let settings = Sources::of_this_process(flags.config.clone())?.load()?;
    let _telemetry = telemetry::init(&settings)?;
    let settings = TrackerSettings::read(&settings)?.with_flags(&flags)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::run("runtime", error))?;
    runtime.block_on(async {
        let shutdown = shutdown_on_signal()?;
        Tracker::bind(settings).await?.run(shutdown).await
    })
}
