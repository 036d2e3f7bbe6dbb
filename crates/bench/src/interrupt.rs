//! Stopping early: a signal ends the work by dropping it, and so ends what the work had started.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

/// The person or the terminal asked to stop.
#[derive(Debug, thiserror::Error)]
#[error("stopped by a signal")]
pub(crate) struct Interrupted;

/// Runs `work` until it is done, or drops it at the first SIGINT, SIGTERM or SIGHUP.
///
/// Child processes and temporary directories are owned by the future, so that dropping it removes them.
pub(crate) async fn unless_interrupted<T>(
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        result = work => result,
        _ = interrupt.recv() => Err(Interrupted.into()),
        _ = terminate.recv() => Err(Interrupted.into()),
        _ = hangup.recv() => Err(Interrupted.into()),
    }
}
