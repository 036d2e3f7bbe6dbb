//! How a node ends while others go on: its peers are told to move, and it serves until they did.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use service::{Failure, Shutdown};
use tokio::time::Instant;

use crate::socket::{Courier, Shared};
use crate::{Outbox, PresenceCursor};

/// How often it is looked whether all have moved, and where they can.
const LOOK: Duration = Duration::from_millis(250);
/// Steps of [`crate::Engine::move_step`] between two pauses, and how long these are: 64,000 peers a second come to the others.
const STEPS: usize = 10;
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until this node is `told` to end, then until its peers have moved or `most` is over, and says `stop`.
pub(crate) async fn drain(
    shared: Arc<Shared>,
    told: Shutdown,
    stop: Shutdown,
    most: Duration,
) -> Result<(), Failure> {
    tokio::select! {
        () = told.cancelled() => {}
        () = stop.cancelled() => return Ok(()),
    }
    if let Some(nodes) = &shared.nodes {
        let end = Instant::now() + most;
        let until_us = shared.now_us() + u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        let mut before: Vec<SocketAddr> = Vec::new();
        nodes.leave().await;
        while shared.engine.v2_len() > 0 && Instant::now() < end && !stop.is_cancelled() {
            // Others may end as well meanwhile, or come.
            let to = nodes.elsewhere();
            if to.is_empty() && before.is_empty() {
                // Alone, or without Redis: there is nowhere to go.
                break;
            }
            if to != before {
                tracing::info!(peers = shared.engine.v2_len(), "peers are told to move to other nodes");
                shared.engine.set_moving(&to, until_us);
                tell_all(&shared).await;
                before = to;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => {}
            }
        }
    }
    stop.cancel();
    Ok(())
}

async fn tell_all(shared: &Shared) {
    let mut cursor = PresenceCursor::default();
    let mut goes_on = true;
    while goes_on {
        for _ in 0..STEPS {
            let mut outbox = Outbox::default();
            goes_on = shared.engine.move_step(shared.now_us(), &mut cursor, &mut outbox);
            Courier::new(shared).send(shared, &mut outbox);
            if !goes_on {
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
