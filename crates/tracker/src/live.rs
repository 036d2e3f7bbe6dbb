//! What goes on now, for the dashboard: a sample every second, and those of the last minutes for whoever opens it.

mod exposition;
mod rendezvous;
mod sample;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix_web::web::Bytes;
use parking_lot::Mutex;
use service::Shutdown;
use tokio::sync::watch;

pub(crate) use rendezvous::MatchmakerAdmin;

use crate::answered::Totals;
use crate::server::Shared;
use rendezvous::Rendezvous;
use sample::{Sample, StoreHealth};

/// Between two samples.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// Samples that are kept: five minutes.
const SAMPLES_MAX: usize = 300;

/// The samples, and who wants to hear of new ones.
pub(crate) struct Live {
    history: Mutex<VecDeque<Arc<str>>>,
    /// The newest as an event; every listener sends the same bytes.
    latest: watch::Sender<Bytes>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            history: Mutex::new(VecDeque::with_capacity(SAMPLES_MAX)),
            latest: watch::Sender::new(Bytes::new()),
        }
    }
}

impl Live {
    /// An event with all samples that are kept, and what brings each that follows.
    pub(crate) fn listen(&self) -> (Bytes, watch::Receiver<Bytes>) {
        // In this order, so that none is missed; one that comes in between comes twice, and has a time to know it by.
        let latest = self.latest.subscribe();
        let history: Vec<Arc<str>> = self.history.lock().iter().cloned().collect();
        let event = format!("retry: 1000\nevent: history\ndata: [{}]\n\n", history.join(","));
        (event.into(), latest)
    }

    fn add(&self, sample: &Sample) {
        let Ok(json) = serde_json::to_string(sample) else { return };
        let event = format!("event: sample\ndata: {json}\n\n");
        {
            let mut history = self.history.lock();
            if history.len() == SAMPLES_MAX {
                history.pop_front();
            }
            history.push_back(json.into());
        }
        self.latest.send_replace(event.into());
    }
}

/// Takes samples until `shutdown`.
pub(crate) async fn watch(app: &Shared, matchmaker: MatchmakerAdmin, shutdown: &Shutdown) {
    // The first one when it has lasted: of a moment's counts a rate is none.
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + SAMPLE_INTERVAL, SAMPLE_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut rendezvous = Rendezvous::new(matchmaker);
    let (mut before, mut since) = (Totals::default(), Instant::now());
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let asked = Instant::now();
        let ask_store = async {
            let stored = app.stats.refresh(&*app.registry).await.ok();
            (stored, asked.elapsed())
        };
        // Side by side: one that is slow must not hold up the other.
        let ((stored, answered), matchmaker) = tokio::join!(ask_store, rendezvous.ask());
        let totals = app.answered.totals();
        let now = Instant::now();
        app.live.add(&Sample {
            at_ms: ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
            elapsed_ms: ms(now - since).max(1),
            stored: stored.map(Into::into),
            store: StoreHealth {
                kind: app.store_kind,
                ready: app.registry.ready().is_ok(),
                answer_us: stored.map(|_| u64::try_from(answered.as_micros()).unwrap_or(u64::MAX)),
            },
            traffic: totals.since(&before),
            memory_bytes: sample::memory_bytes(),
            matchmaker,
        });
        (before, since) = (totals, now);
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn who_opens_the_page_late_sees_the_last_minutes_and_no_more() {
        let live = Live::default();
        for at_ms in 0..SAMPLES_MAX as u64 + 5 {
            live.add(&Sample { at_ms, ..Sample::default() });
        }
        let (history, mut latest) = live.listen();
        let history = String::from_utf8(history.to_vec()).unwrap();
        let data = history.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        let samples: Vec<serde_json::Value> = serde_json::from_str(data).unwrap();
        assert_eq!(samples.len(), SAMPLES_MAX);
        assert_eq!(samples.first().unwrap().get("at_ms"), Some(&serde_json::json!(5)));
        assert!(!latest.has_changed().unwrap());
        live.add(&Sample { at_ms: 1_000, ..Sample::default() });
        assert!(latest.has_changed().unwrap());
        assert!(latest.borrow_and_update().starts_with(b"event: sample\ndata: {\"at_ms\":1000,"));
    }
}
