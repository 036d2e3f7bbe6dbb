//! Publishes of concurrent requests, written together.
//!
//! Redis does one thing at a time, and half of what a publish costs it is the call and not the mapping. So while two calls
//! of a thread are on their way, the publishes that come in meanwhile wait for the next one and share it. Where there is little
//! to do nobody waits.

use std::sync::Arc;

use deadpool_redis::redis::pipe;
use tokio::sync::oneshot;

use super::link::Link;
use super::publish::{CALL_BATCH, Publish, Written, write};
use crate::RegistryError;

/// A publish that waits for its turn, and where its answer goes.
pub(super) struct Waiting {
    publish: Publish,
    answer: oneshot::Sender<Result<Written, RegistryError>>,
}

impl Link {
    /// Writes one mapping, with those of other requests on this thread.
    pub(super) async fn publish(self: &Arc<Self>, publish: Publish) -> Result<Written, RegistryError> {
        let main = self.main()?;
        if self.lanes().of_this_thread(&main).is_none() {
            let written = self.publish_all(&[publish]).await?;
            return written.first().copied().ok_or_else(no_answer);
        }
        let generation = main.generation;
        let (answer, written) = oneshot::channel();
        if self.lanes().join(generation, Waiting { publish, answer }) {
            tokio::spawn(write_waiting(Arc::clone(self), generation));
        }
        // Or the connection was replaced under it.
        written.await.unwrap_or_else(|_| Err(no_answer()))
    }

    /// Writes mappings, each as if it were alone.
    pub(super) async fn publish_all(&self, batch: &[Publish]) -> Result<Vec<Written>, RegistryError> {
        let mut calls = pipe();
        write(&mut calls, self.scripts(), self.rules(), batch);
        let answers: Vec<Vec<i64>> = self.query(&calls).await?;
        let written = Written::read(&answers);
        if written.len() == batch.len() { Ok(written) } else { Err(no_answer()) }
    }
}

/// Writes what waits on this thread until nothing does.
async fn write_waiting(link: Arc<Link>, generation: u64) {
    loop {
        let waiting = link.lanes().take(generation, CALL_BATCH);
        if waiting.is_empty() {
            link.lanes().retire(generation);
            return;
        }
        let (batch, answers): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|waiting| (waiting.publish, waiting.answer)).unzip();
        match link.publish_all(&batch).await {
            Ok(written) => {
                for (answer, written) in answers.into_iter().zip(written) {
                    // Nobody may wait any more.
                    _ = answer.send(Ok(written));
                }
            }
            Err(error) => {
                // Who came meanwhile has waited for as long as a command may take.
                let waiting = link.lanes().take(generation, usize::MAX);
                for answer in answers.into_iter().chain(waiting.into_iter().map(|waiting| waiting.answer)) {
                    _ = answer.send(Err(error.clone()));
                }
            }
        }
    }
}

fn no_answer() -> RegistryError {
    RegistryError::Unavailable("Redis did not answer to a publish".to_owned())
}
