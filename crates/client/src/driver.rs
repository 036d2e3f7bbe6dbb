use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use peer_core::datagram::v2::Target;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::datagrams::Received;
use crate::error::{BindError, ConnectError};
use crate::machine::{Connected, Event, Machine, PathId, RequestId, SocketId, Standing, Whose};
use crate::path::{Notice, Path};
use crate::queue::Queue;
use crate::socket::Batch;
use crate::sockets::Sockets;

/// Datagrams of a path that wait to be taken at most.
const PATH_DATAGRAMS_MAX: usize = 256;
/// Calls of the kernel to receive, of several datagrams each, before timers are looked at again.
const RECEIVES_AT_ONCE: usize = 4;

/// What the handles of a client share with its driver.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) datagrams: Arc<Queue<Received>>,
    pub(crate) accepts: Queue<Path>,
    /// Whether datagrams go to `datagrams` rather than to their paths.
    pub(crate) taps: AtomicBool,
}

/// What a handle wants done.
#[derive(Debug)]
pub(crate) enum Command {
    Connect { target: Target, reply: oneshot::Sender<Result<Path, ConnectError>> },
    Close { done: oneshot::Sender<()> },
}

/// The task of a client: it alone has the machine, and gives it what comes in and the time.
pub(crate) struct Driver {
    machine: Machine,
    start: Instant,
    shared: Arc<Shared>,
    ready: Option<oneshot::Sender<Result<(), BindError>>>,
    standing: watch::Sender<Standing>,
    requests: HashMap<RequestId, oneshot::Sender<Result<Path, ConnectError>>>,
    paths: HashMap<PathId, Arc<Queue<Bytes>>>,
    dropped: Arc<Notify>,
    closing: Vec<oneshot::Sender<()>>,
    closed: bool,
}

impl Driver {
    pub(crate) fn spawn(
        machine: Machine,
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Command>,
        ready: oneshot::Sender<Result<(), BindError>>,
    ) -> watch::Receiver<Standing> {
        let (standing, receiver) = watch::channel(machine.standing());
        let driver = Self {
            machine,
            start: Instant::now(),
            shared,
            ready: Some(ready),
            standing,
            requests: HashMap::new(),
            paths: HashMap::new(),
            dropped: Arc::new(Notify::new()),
            closing: Vec::new(),
            closed: false,
        };
        tokio::spawn(driver.run(commands));
        receiver
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut batch = Batch::new();
        let dropped = Arc::clone(&self.dropped);
        self.machine.start(Duration::ZERO);
        loop {
            self.machine.tick(self.start.elapsed());
            self.perform();
            if self.closed {
                break;
            }
            let sockets = Arc::clone(&self.shared.sockets);
            let timeout = self.machine.next_timeout().map(|timeout| self.start + timeout);
            tokio::select! {
                command = commands.recv() => self.obey(command),
                socket = poll_fn(|context| sockets.poll_receive(context, &mut batch)) => {
                    self.receive_all(socket, &batch);
                    self.receive_what_is_there(&mut batch).await;
                }
                () = sleep_until(timeout) => {}
                () = dropped.notified() => self.close_dropped(),
            }
        }
        self.shared.datagrams.end();
        self.shared.accepts.end();
        self.paths.values().for_each(|queue| queue.end());
        // Dropping them tells those who wait.
        self.closing.drain(..).for_each(drop);
    }

    async fn receive_what_is_there(&mut self, batch: &mut Batch) {
        let sockets = Arc::clone(&self.shared.sockets);
        for _ in 1..RECEIVES_AT_ONCE {
            let received = poll_fn(|context| {
                std::task::Poll::Ready(match sockets.poll_receive(context, batch) {
                    std::task::Poll::Ready(socket) => Some(socket),
                    std::task::Poll::Pending => None,
                })
            });
            let Some(socket) = received.await else { return };
            self.receive_all(socket, batch);
        }
    }

    fn receive_all(&mut self, socket: SocketId, batch: &Batch) {
        for (from, datagram) in batch.datagrams() {
            self.receive(socket, from, datagram);
        }
    }

    fn receive(&mut self, socket: SocketId, from: SocketAddr, datagram: &[u8]) {
        let whose = self.machine.handle(self.start.elapsed(), socket, from, datagram);
        // A path that this datagram opened is to be there for it.
        self.perform();
        match whose {
            Whose::Path(_) | Whose::Stranger if self.shared.taps.load(Ordering::Relaxed) => {
                self.shared.datagrams.push(Received { from, bytes: Bytes::copy_from_slice(datagram) });
            }
            Whose::Path(path) => {
                if let Some(queue) = self.paths.get(&path) {
                    queue.push(Bytes::copy_from_slice(datagram));
                }
            }
            Whose::Ours | Whose::Stranger => {}
        }
    }

    fn obey(&mut self, command: Option<Command>) {
        let now = self.start.elapsed();
        match command {
            Some(Command::Connect { target, reply }) => match self.machine.connect(now, target) {
                Ok(request) => {
                    self.requests.insert(request, reply);
                }
                Err(error) => {
                    let _ = reply.send(Err(error));
                }
            },
            Some(Command::Close { done }) => {
                self.closing.push(done);
                self.machine.close(now);
            }
            // The last handle is gone.
            None => {
                self.machine.close(now);
                self.perform();
                self.closed = true;
            }
        }
    }

    /// Sends what the machine wants sent, and tells what it has to tell.
    fn perform(&mut self) {
        // First, so that a peer hears that a path is open before it hears what is said on it.
        while let Some(transmit) = self.machine.poll_transmit() {
            // What the kernel has no room for is lost, as anything may be on the way, and repeated like that.
            let port = self.machine.port_of(transmit.socket);
            let socket = self.shared.sockets.get(transmit.socket, port);
            let _ = socket.and_then(|socket| socket.try_send(transmit.to, &transmit.bytes, None));
        }
        while let Some(event) = self.machine.poll_event() {
            self.tell(event);
        }
    }

    fn tell(&mut self, event: Event) {
        match event {
            Event::Standing(standing) => {
                self.standing.send_replace(standing);
            }
            Event::Ready => self.settle(Ok(())),
            Event::Unavailable(error) => self.settle(Err(error)),
            Event::Connected(connected) => self.connected(&connected),
            Event::Failed { request, error } => {
                if let Some(reply) = self.requests.remove(&request) {
                    let _ = reply.send(Err(error));
                }
            }
            Event::Unpunchable { .. } => {}
            Event::PathClosed(path) => {
                if let Some(queue) = self.paths.remove(&path) {
                    queue.end();
                }
            }
            Event::SocketClosed(socket) => self.shared.sockets.close(socket),
            Event::Closed => self.closed = true,
        }
    }

    fn settle(&mut self, result: Result<(), BindError>) {
        if let Some(ready) = self.ready.take() {
            let failed = result.is_err();
            // Nobody waits any more where binding was given up.
            self.closed |= ready.send(result).is_err() || failed;
        }
    }

    fn connected(&mut self, connected: &Connected) {
        let queue =
            self.paths.entry(connected.path).or_insert_with(|| Arc::new(Queue::new(PATH_DATAGRAMS_MAX)));
        self.shared.sockets.route(connected.peer, connected.socket);
        let port = self.machine.port_of(connected.socket);
        let Ok(socket) = self.shared.sockets.get(connected.socket, port) else { return };
        let path = Path {
            peer: connected.peer,
            id: connected.id,
            via: connected.via,
            took: connected.took,
            socket,
            queue: Arc::clone(queue),
            _notice: Notice(Arc::clone(&self.dropped)),
        };
        match connected.request.and_then(|request| self.requests.remove(&request)) {
            // Where nobody waits any more, the path is dropped, and closed by that.
            Some(reply) => drop(reply.send(Ok(path))),
            None if connected.request.is_none() => {
                self.shared.accepts.push(path);
            }
            None => {}
        }
    }

    /// Closes paths whose last handle is gone.
    fn close_dropped(&mut self) {
        let gone: Vec<PathId> = self
            .paths
            .iter()
            .filter(|(_, queue)| Arc::strong_count(queue) == 1)
            .map(|(path, _)| *path)
            .collect();
        for path in gone {
            self.paths.remove(&path);
            self.machine.close_path(self.start.elapsed(), path);
        }
    }
}

async fn sleep_until(timeout: Option<Instant>) {
    match timeout {
        Some(timeout) => tokio::time::sleep_until(timeout).await,
        None => std::future::pending().await,
    }
}
