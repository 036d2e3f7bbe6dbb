//! Peers that publish while a server dies, and what became of that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use registry::{Publisher, Registry, RegistryError, Verdict};
use tokio::task::JoinSet;

use crate::store::{Store, entry, eventually, legacy, peer, set};

/// Peers that publish at the same time.
const PUBLISHERS: u8 = 8;
/// What a crash may take of what was acknowledged: writes of so long before it.
const MAY_BE_LOST: Duration = Duration::from_secs(1);

/// A load of publishes, each of another file.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    publishers: JoinSet<Log>,
}

/// What one publisher saw.
#[derive(Default)]
pub(crate) struct Log {
    acknowledged: Vec<(Instant, Publisher, String)>,
    failed: Vec<(Instant, RegistryError)>,
}

impl Load {
    pub(crate) fn start(registry: &Arc<dyn Registry>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut publishers = JoinSet::new();
        for number in 0..PUBLISHERS {
            publishers.spawn(publish(Arc::clone(registry), Arc::clone(&stop), number));
        }
        Self { stop, publishers }
    }

    /// Ends it, and gives what all saw.
    pub(crate) async fn end(self) -> Log {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Log::default();
        for log in self.publishers.join_all().await {
            all.acknowledged.extend(log.acknowledged);
            all.failed.extend(log.failed);
        }
        all
    }
}

impl Log {
    pub(crate) fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Says how many failed, and for how long.
    #[expect(clippy::print_stderr, reason = "it is a measurement, and no test fails by it")]
    pub(crate) fn report(&self, what: &str) {
        let times = || self.failed.iter().map(|(at, _)| *at);
        let window = times().max().zip(times().min()).map_or(Duration::ZERO, |(last, first)| last - first);
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for (_, error) in &self.failed {
            *reasons.entry(error.to_string()).or_default() += 1;
        }
        let (acknowledged, failed) = (self.acknowledged.len(), self.failed.len());
        eprintln!(
            "{what}: {acknowledged} acknowledged, {failed} failed, the last {window:?} after the first: {reasons:?}"
        );
    }

    /// Asks for each mapping that was acknowledged a second before `crash`, or after it was over.
    pub(crate) async fn check(&self, store: &Store, crash: Instant) {
        let over = self.failed.iter().map(|(at, _)| *at).max().unwrap_or(crash);
        let mut checked = 0;
        for (at, publisher, file) in &self.acknowledged {
            if *at + MAY_BE_LOST < crash || *at > over {
                let expected = set([publisher.address.to_string().as_str()]);
                assert_eq!(
                    store.peers(file).await,
                    expected,
                    "{file}, {:?} before",
                    crash.checked_duration_since(*at)
                );
                checked += 1;
            }
        }
        assert!(checked > 100, "{checked} of {}", self.acknowledged.len());
    }
}

async fn publish(registry: Arc<dyn Registry>, stop: Arc<AtomicBool>, number: u8) -> Log {
    let me = legacy(&format!("203.0.113.{number}"));
    let mut log = Log::default();
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        let file = format!("site/{number}/{round}");
        round += 1;
        match registry.publish(&me, &[entry(&file, "abc")]).await {
            Ok(verdicts) => {
                assert_eq!(verdicts, [Verdict::Listed]);
                log.acknowledged.push((Instant::now(), me, file));
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Err(error) => {
                log.failed.push((Instant::now(), error));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    log
}

/// Waits until publishes are taken as they were before.
pub(crate) async fn publishes_again(registry: &Arc<dyn Registry>) {
    let me = legacy("198.51.100.7");
    eventually("it writes again", || async {
        for file in ["p/1", "p/2", "p/3", "p/4", "p/5", "p/6", "p/7", "p/8", "p/9"] {
            if registry.publish(&me, &[entry(file, "abc")]).await != Ok(vec![Verdict::Listed]) {
                return false;
            }
        }
        registry.addresses(peer("192.0.2.99"), &"p/1".parse().unwrap(), 10).await.is_ok()
    })
    .await;
}
