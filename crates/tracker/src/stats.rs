//! How much there is, asked of the store once for all who want to know.

use std::time::{Duration, Instant};

use registry::{Registry, RegistryError, Stats};
use tokio::sync::Mutex;

/// How old an answer may be: the store is asked once in this time, however many ask us.
pub(crate) const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// The last answer of the store.
#[derive(Default)]
pub(crate) struct LiveStats {
    latest: Mutex<Option<(Instant, Stats)>>,
}

impl LiveStats {
    /// Counts that are at most [`STATS_INTERVAL`] old.
    pub(crate) async fn read(&self, registry: &dyn Registry) -> Result<Stats, RegistryError> {
        // Held over the question, so that those who come meanwhile wait for its answer.
        let mut latest = self.latest.lock().await;
        if let Some((when, stats)) = *latest
            && when.elapsed() < STATS_INTERVAL
        {
            return Ok(stats);
        }
        let stats = registry.stats().await?;
        *latest = Some((Instant::now(), stats));
        Ok(stats)
    }

    /// Counts as of now, which those who ask within [`STATS_INTERVAL`] get too.
    pub(crate) async fn refresh(&self, registry: &dyn Registry) -> Result<Stats, RegistryError> {
        let stats = registry.stats().await?;
        *self.latest.lock().await = Some((Instant::now(), stats));
        Ok(stats)
    }
}
