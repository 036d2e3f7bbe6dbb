//! A connection to a Cluster (Redis Cluster specification): each command goes to the master that has its slot.
//!
//! A pipeline is cut by masters, and each gets its part with one write; the answers are put in order again. What a master
//! sends elsewhere (`MOVED`, `ASK`), or cannot do just now (`TRYAGAIN`, `CLUSTERDOWN`, a failover), is sent again until the time of
//! a command is over, and only that: requests for other masters wait for nothing. `map` finds out who has what, and has the
//! connections.

mod map;
mod slots;

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use deadpool_redis::redis::{
    Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerError, ServerErrorKind, Value, cmd,
    pipe,
};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use peer_core::keys;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

pub(super) use map::MapKeeper;
use map::{Doubts, Map};
use slots::{Address, may_be_repeated, slot_of};

use super::scripts::Scripts;

/// How long a command may take, with all redirections.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(200);
/// How long to wait before a command that failed is sent again, where no news come of who has its slot.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// A connection to all masters of a Cluster.
#[derive(Clone)]
pub(super) struct ClusterConnection {
    map: watch::Receiver<Arc<Map>>,
    doubts: Arc<Doubts>,
    scripts: Arc<Scripts>,
}

/// A command that has no answer yet.
struct Open {
    /// Its place in the pipeline.
    place: usize,
    /// Where it was sent to by a redirection, and whether for this once.
    redirected: Option<(Address, bool)>,
}

/// Commands for one master.
struct Share {
    node: usize,
    connection: MultiplexedConnection,
    /// They are asked for in the midst of a migration.
    asking: bool,
    open: Vec<Open>,
}

impl ClusterConnection {
    /// The answer to each command. Where one has none, because its master is away, all fail.
    async fn run(&self, commands: &[&Cmd]) -> RedisResult<Vec<Value>> {
        self.run_each(commands).await.into_iter().collect()
    }

    /// What came of each command: one whose master is away fails alone. A refusal of a server is an answer.
    pub(super) async fn run_each(&self, commands: &[&Cmd]) -> Vec<RedisResult<Value>> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let mut map = self.map.clone();
        let mut answers: Vec<Option<RedisResult<Value>>> = vec![None; commands.len()];
        let mut open: Vec<Open> = (0..commands.len()).map(|place| Open { place, redirected: None }).collect();
        while !open.is_empty() {
            let now = Arc::clone(&map.borrow_and_update());
            let (shares, mut left) = share_out(&now, commands, open);
            let sending = shares.into_iter().map(|share| Self::send(commands, share, deadline));
            let mut wait = !left.is_empty();
            let mut unscripted: Vec<usize> = Vec::new();
            for (node, share, result) in join_all(sending).await {
                match result {
                    Ok(values) => {
                        for (mut open, value) in share.into_iter().zip(values) {
                            let Value::ServerError(error) = &value else {
                                set(&mut answers, open.place, Ok(value));
                                continue;
                            };
                            match self.next_step(error, &now, node) {
                                Next::GiveUp => set(&mut answers, open.place, Ok(value)),
                                Next::Redirect(redirected) => {
                                    open.redirected = redirected;
                                    left.push(open);
                                }
                                Next::Load => {
                                    if !unscripted.contains(&node) {
                                        unscripted.push(node);
                                    }
                                    left.push(open);
                                }
                                Next::Wait => {
                                    set(&mut answers, open.place, Err(RedisError::from(error.clone())));
                                    wait = true;
                                    open.redirected = None;
                                    left.push(open);
                                }
                            }
                        }
                    }
                    Err(error) => {
                        self.doubts.raise(None);
                        wait = true;
                        for open in share {
                            set(&mut answers, open.place, Err(error.clone()));
                            if commands.get(open.place).is_some_and(|command| may_be_repeated(command)) {
                                left.push(Open { redirected: None, ..open });
                            }
                        }
                    }
                }
            }
            if left.is_empty() {
                break;
            }
            if !unscripted.is_empty() {
                let loading = join_all(unscripted.iter().map(|node| self.load_scripts(&now, *node)));
                let loaded = timeout_at(deadline, loading).await;
                wait |= !loaded.is_ok_and(|loaded| loaded.into_iter().all(|loaded| loaded));
            }
            if wait {
                self.doubts.raise(None);
                // News, or a moment.
                let news = tokio::time::timeout(RETRY_INTERVAL, map.changed());
                _ = timeout_at(deadline, news).await;
            }
            if Instant::now() >= deadline {
                break;
            }
            left.sort_unstable_by_key(|open| open.place);
            open = left;
        }
        let away = || {
            let what = "the server of the Cluster that has the slot is not there";
            Err(RedisError::from((ErrorKind::Io, what)))
        };
        answers.into_iter().map(|answer| answer.unwrap_or_else(away)).collect()
    }

    /// The server that a key is at, by a number; none where nobody has its slot.
    pub(super) fn master_of(&self, key: &str) -> Option<usize> {
        self.map.borrow().master_of(keys::slot(key.as_bytes()))
    }

    /// Whether every master is there.
    pub(super) fn is_whole(&self) -> bool {
        self.map.borrow().is_whole()
    }

    /// Sends its share to a master, and gives the answers in the same order.
    async fn send(
        commands: &[&Cmd],
        share: Share,
        deadline: Instant,
    ) -> (usize, Vec<Open>, RedisResult<Vec<Value>>) {
        let Share { node, mut connection, asking, open } = share;
        let mut part = pipe();
        for command in open.iter().filter_map(|open| commands.get(open.place)) {
            if asking {
                part.add_command(cmd("ASKING"));
            }
            part.add_command(Cmd::clone(command));
        }
        let late = |_| RedisError::from((ErrorKind::Io, "a server of the Cluster did not answer in time"));
        let answered = timeout_at(deadline, values_of(&mut connection, &part)).await.map_err(late);
        let values = answered.flatten().map(|mut values| {
            if asking {
                let mut place = 0_usize;
                values.retain(|_| {
                    place += 1;
                    place.is_multiple_of(2)
                });
            }
            values
        });
        (node, open, values)
    }

    async fn load_scripts(&self, map: &Map, node: usize) -> bool {
        let Some(mut connection) = map.connection(node) else { return false };
        self.scripts.load(&mut connection).await.is_ok()
    }

    fn next_step(&self, error: &ServerError, map: &Map, node: usize) -> Next {
        let redirected = |asking| {
            // `SLOT HOST:PORT`
            let (_, to) = error.details()?.split_once(' ')?;
            Some((Address::read(to, map.address(node)?)?, asking))
        };
        match error.kind() {
            Some(ServerErrorKind::Moved) => {
                let redirected = redirected(false);
                self.doubts.raise(redirected.as_ref().map(|(to, _)| to));
                Next::Redirect(redirected)
            }
            Some(ServerErrorKind::Ask) => {
                let redirected = redirected(true);
                if let Some((to, _)) = redirected.as_ref().filter(|(to, _)| map.place(to).is_none()) {
                    self.doubts.raise(Some(to));
                }
                Next::Redirect(redirected)
            }
            Some(ServerErrorKind::NoScript) => Next::Load,
            Some(
                ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::ReadOnly,
            ) => Next::Wait,
            _ => Next::GiveUp,
        }
    }
}

/// What to do with a command that was refused.
enum Next {
    /// That is the answer.
    GiveUp,
    /// Send it again: where it was sent to, or where it belongs.
    Redirect(Option<(Address, bool)>),
    /// Send it again to where it was, when that knows the scripts.
    Load,
    /// Send it again a moment later.
    Wait,
}

/// Cuts commands by the masters that they go to. Gives also those for which there is none that is connected.
fn share_out(map: &Map, commands: &[&Cmd], open: Vec<Open>) -> (Vec<Share>, Vec<Open>) {
    let mut shares: Vec<Share> = Vec::new();
    let mut nowhere = Vec::new();
    for open in open {
        let (node, asking) = if let Some((to, asking)) = &open.redirected {
            (map.place(to), *asking)
        } else {
            let slot = commands.get(open.place).and_then(|command| slot_of(command));
            (slot.map_or(Some(0), |slot| map.master_of(slot)), false)
        };
        let known = |share: &&mut Share| Some(share.node) == node && share.asking == asking;
        if let Some(share) = shares.iter_mut().find(known) {
            share.open.push(open);
            continue;
        }
        match node.and_then(|node| Some((node, map.connection(node)?))) {
            Some((node, connection)) => shares.push(Share { node, connection, asking, open: vec![open] }),
            // Nothing was sent, so that any command may wait.
            None => nowhere.push(open),
        }
    }
    (shares, nowhere)
}

fn set(answers: &mut [Option<RedisResult<Value>>], place: usize, value: RedisResult<Value>) {
    if let Some(answer) = answers.get_mut(place) {
        *answer = Some(value);
    }
}

/// All answers to a pipeline, refusals among them.
async fn values_of(connection: &mut MultiplexedConnection, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
    connection.req_packed_commands(pipeline, 0, pipeline.len()).await
}

impl ConnectionLike for ClusterConnection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        async move {
            let answers = self.run(&[command]).await?;
            answers.into_iter().next().unwrap_or_default().extract_error()
        }
        .boxed()
    }

    /// No transactions: nothing spans the slots of a Cluster.
    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        _offset: usize,
        _count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        async move {
            let commands: Vec<&Cmd> = pipeline.cmd_iter().collect();
            self.run(&commands).await
        }
        .boxed()
    }

    fn get_db(&self) -> i64 {
        0
    }
}
