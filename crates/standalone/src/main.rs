//! The `standalone` program: tracker and matchmaker in one process, for development and small installations.

use std::process::ExitCode;
use std::sync::Arc;

use matchmaker::{Matchmaker, MatchmakerSettings};
use service::settings::Sources;
use service::{Failure, Shutdown, StandaloneFlags, exit_code, shutdown_on_signal, telemetry};
use tracker::{Tracker, TrackerSettings};

fn main() -> ExitCode {
    exit_code("standalone", run())
}

fn run() -> Result<(), Failure> {
    let about = "Tracker and matchmaker in one process, with all settings from the environment or a file.";
    let flags = StandaloneFlags::parse("standalone", env!("CARGO_PKG_VERSION"), about)?;
    let settings = Sources::of_this_process(flags.config)?.load()?;
    let _telemetry = telemetry::init(&settings)?;
    let tracker_settings = TrackerSettings::read(&settings)?;
    let matchmaker_settings = MatchmakerSettings::read(&settings)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::run("runtime", error))?;
    runtime.block_on(async {
        let shutdown = shutdown_on_signal()?;
        let matchmaker = Matchmaker::bind(&matchmaker_settings)?;
        let tracker = Tracker::bind(tracker_settings, Some(Arc::new(matchmaker.hearing()))).await?;
        let (http, udp) = tokio::join!(
            ended(tracker.run(shutdown.clone()), &shutdown),
            ended(matchmaker.run(shutdown.clone()), &shutdown),
        );
        http.and(udp)
    })
}

/// One service without the other would be half a server: when one ends, so does the other.
async fn ended(run: impl Future<Output = Result<(), Failure>>, shutdown: &Shutdown) -> Result<(), Failure> {
    let result = run.await;
    shutdown.cancel();
    result
}
