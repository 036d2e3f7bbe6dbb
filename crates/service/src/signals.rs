use tokio::signal::unix::{SignalKind, signal};

use crate::{Failure, Shutdown};

/// A token that SIGTERM (supervisors, containers) or SIGINT (a terminal) cancels. Call it on the main runtime
/// before anything is bound: a signal that comes first is then not lost.
pub fn shutdown_on_signal() -> Result<Shutdown, Failure> {
    let install = |kind| signal(kind).map_err(|error| Failure::run("signal handler", error));
    let mut terminate = install(SignalKind::terminate())?;
    let mut interrupt = install(SignalKind::interrupt())?;
    let shutdown = Shutdown::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
        token.cancel();
    });
    Ok(shutdown)
}
