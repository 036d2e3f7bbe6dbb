//! Watches over the clients of a load.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::pace::{Pace, Schedule};
use crate::progress::Progress;
use crate::tally::SharedTally;

/// A load without any answer for this long gives up on the answers that are due.
const SILENCE: Duration = Duration::from_secs(5);
/// How often the bar moves and silence is looked for.
const WATCH: Duration = Duration::from_millis(100);

/// The clients of a load, each a task that ends by itself.
pub(crate) type Clients = JoinSet<anyhow::Result<()>>;

/// Waits until every client has ended, or no answer has come for a while. `moved` is called now and then.
pub(crate) async fn watch(mut clients: Clients, tally: &SharedTally, moved: impl Fn()) -> anyhow::Result<()> {
    let mut watch = interval(WATCH);
    watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            done = clients.join_next() => match done {
                Some(result) => result??,
                None => return Ok(()),
            },
            _ = watch.tick() => {
                moved();
                if tally.silence() > SILENCE {
                    clients.shutdown().await;
                    return Ok(());
                }
            }
        }
    }
}

/// Lets every client do its work in a task of its own. Gives back those that came to its end: all, unless the load was
/// given up.
pub(crate) async fn all<Client: Send + 'static, Work>(
    clients: Vec<Client>,
    tally: &SharedTally,
    moved: impl Fn(),
    work: impl Fn(Client) -> Work,
) -> anyhow::Result<Vec<Client>>
where
    Work: Future<Output = anyhow::Result<Client>> + Send + 'static,
{
    let (done, mut back) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = Clients::new();
    for client in clients {
        let (work, done) = (work(client), done.clone());
        tasks.spawn(async move {
            // Nobody waits for it where the load was given up.
            _ = done.send(work.await?);
            Ok(())
        });
    }
    drop(done);
    watch(tasks, tally, moved).await?;
    let mut clients = Vec::new();
    while let Some(client) = back.recv().await {
        clients.push(client);
    }
    Ok(clients)
}

/// The pace of a load that runs for some time: closed loop, or open loop at a rate.
pub(crate) fn pace(length: Duration, rate: Option<f64>) -> Pace {
    match rate {
        Some(rate) => Pace::Open(Schedule::new(rate, length)),
        None => Pace::Closed { end: Some(Instant::now() + length) },
    }
}

/// A bar that fills while time passes, to be called now and then.
pub(crate) fn time_bar(what: &str, length: Duration) -> impl Fn() + use<> {
    let (progress, started) = (Progress::of_time(what, length), Instant::now());
    move || progress.at(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX))
}
