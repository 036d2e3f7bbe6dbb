//! A proxy for TCP that does to a connection what a network does: it delays, trickles, stalls, cuts and refuses.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that are taken at once.
const PIECE_BYTES: usize = 16 << 10;
/// Pieces of a direction that are on their way.
const PIECES_MAX: usize = 1_024;

/// What happens to what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Nothing.
    Fair,
    /// It arrives this much later, each way.
    Slow(Duration),
    /// It arrives in pieces of so many bytes, this long apart.
    Trickle(usize, Duration),
    /// It does not arrive until the weather changes, on new connections either: the line is cut between us.
    Stalled,
    /// There are no connections, and nobody listens.
    Refusing,
}

/// A proxy in front of a server.
#[derive(Debug)]
pub struct ChaosProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    weather: Weather,
    listening: bool,
    ended: bool,
    /// Both ends of each connection that there was.
    streams: Vec<TcpStream>,
}

impl ChaosProxy {
    /// In front of `upstream`, in fair weather.
    pub fn before(upstream: SocketAddr) -> Self {
        // Below the ports of outgoing connections: nobody takes it while it refuses.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, crate::ports::free_port()));
        let state = State { weather: Weather::Fair, listening: false, ended: false, streams: Vec::new() };
        let shared = Arc::new(Shared { upstream, state: Mutex::new(state), changed: Condvar::new() });
        let proxy = Self { address, shared: Arc::clone(&shared) };
        thread::spawn(move || shared.listen(address));
        proxy.wait_until(|state| state.listening);
        proxy
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a Redis behind it.
    pub fn redis_url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// From now on, for all connections.
    pub fn set(&self, weather: Weather) {
        self.shared.lock().weather = weather;
        self.shared.changed.notify_all();
        if weather == Weather::Refusing {
            // It waits for somebody to come.
            drop(TcpStream::connect(self.address));
            self.wait_until(|state| !state.listening);
            self.cut();
        } else {
            self.wait_until(|state| state.listening);
        }
    }

    /// Ends the connections that there are.
    pub fn cut(&self) {
        for stream in self.shared.lock().streams.drain(..) {
            // Fails only where it has ended.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn wait_until(&self, holds: impl Fn(&State) -> bool) {
        drop(
            self.shared
                .changed
                .wait_while(self.shared.lock(), |state| !holds(state))
                .expect("no holder panics"),
        );
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
        drop(TcpStream::connect(self.address));
        self.cut();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Listens whenever it does not refuse.
    fn listen(self: &Arc<Self>, address: SocketAddr) {
        loop {
            let refuses = |state: &mut State| state.weather == Weather::Refusing && !state.ended;
            let mut state = self.changed.wait_while(self.lock(), refuses).expect("no holder panics");
            if state.ended {
                return;
            }
            let listener = TcpListener::bind(address).expect("the port is ours");
            state.listening = true;
            self.changed.notify_all();
            drop(state);
            self.accept(&listener);
            drop(listener);
            self.lock().listening = false;
            self.changed.notify_all();
        }
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while let Ok((client, _)) = listener.accept() {
            let mut state = self.lock();
            if state.ended || state.weather == Weather::Refusing {
                return;
            }
            // Where nobody is behind it, the client sees an end.
            let Ok(server) = TcpStream::connect(self.upstream) else { continue };
            for stream in [&client, &server] {
                stream.set_nodelay(true).expect("a TCP socket");
                state.streams.push(stream.try_clone().expect("a file descriptor"));
            }
            drop(state);
            let ways = [(&client, &server), (&server, &client)];
            for (from, to) in ways.map(|(from, to)| (from.try_clone(), to.try_clone())) {
                let (from, to) = (from.expect("a file descriptor"), to.expect("a file descriptor"));
                let (sender, pieces) = sync_channel(PIECES_MAX);
                let shared = Arc::clone(self);
                thread::spawn(move || take(from, &sender));
                thread::spawn(move || shared.bring(to, &pieces));
            }
        }
    }

    fn bring(&self, mut to: TcpStream, pieces: &Receiver<(Instant, Vec<u8>)>) {
        while let Ok((taken, bytes)) = pieces.recv() {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let Some(length) = self.passes(taken, rest.len()) else { return };
                let (piece, after) = rest.split_at(length);
                if to.write_all(piece).is_err() {
                    return;
                }
                rest = after;
            }
        }
        // An end takes as long as anything else.
        if self.passes(Instant::now(), 0).is_some() {
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    /// Waits until some of what was taken then may arrive, and says how many bytes of `left`. None at the end of the proxy.
    fn passes(&self, taken: Instant, left: usize) -> Option<usize> {
        let started = Instant::now();
        let mut state = self.lock();
        loop {
            if state.ended {
                return None;
            }
            let (due, length) = match state.weather {
                Weather::Fair => return Some(left),
                Weather::Slow(delay) => (Some(taken + delay), left),
                Weather::Trickle(bytes, pause) => (Some(started + pause), left.min(bytes.max(1))),
                Weather::Stalled | Weather::Refusing => (None, 0),
            };
            state = match due {
                None => self.changed.wait(state).expect("no holder panics"),
                Some(due) => {
                    let wait = due.saturating_duration_since(Instant::now());
                    if wait.is_zero() {
                        return Some(length);
                    }
                    self.changed.wait_timeout(state, wait).expect("no holder panics").0
                }
            };
        }
    }
}

/// Takes what comes, with the time.
fn take(mut from: TcpStream, pieces: &SyncSender<(Instant, Vec<u8>)>) {
    let mut buffer = vec![0; PIECE_BYTES];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if pieces.send((Instant::now(), buffer[..length].to_vec())).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says everything back.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut buffer = [0; 64];
                    while let Ok(length @ 1..) = stream.read(&mut buffer) {
                        stream.write_all(&buffer[..length]).unwrap();
                    }
                });
            }
        });
        address
    }

    fn connect(proxy: &ChaosProxy) -> TcpStream {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// What comes back of five bytes, in pieces, and how long that takes.
    fn ask(mut stream: &TcpStream) -> (Vec<usize>, Duration) {
        let started = Instant::now();
        stream.write_all(b"hello").unwrap();
        let (mut pieces, mut buffer) = (Vec::new(), [0; 64]);
        while pieces.iter().sum::<usize>() < 5 {
            pieces.push(stream.read(&mut buffer).unwrap());
        }
        (pieces, started.elapsed())
    }

    #[test]
    fn it_delays_trickles_and_stalls() {
        let proxy = ChaosProxy::before(echo());
        let stream = connect(&proxy);
        assert_eq!(ask(&stream).0.iter().sum::<usize>(), 5);
        proxy.set(Weather::Slow(Duration::from_millis(30)));
        assert!(ask(&stream).1 >= Duration::from_millis(60));
        proxy.set(Weather::Trickle(1, Duration::from_millis(5)));
        let (pieces, took) = ask(&stream);
        assert!(pieces.len() > 1 && took >= Duration::from_millis(25), "{pieces:?} in {took:?}");
        proxy.set(Weather::Stalled);
        let mut other = connect(&proxy);
        for mut stream in [&stream, &other] {
            stream.write_all(b"x").unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            assert!(stream.read(&mut [0; 1]).is_err(), "nothing arrives");
        }
        proxy.set(Weather::Fair);
        other.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(other.read(&mut [0; 1]).unwrap(), 1, "it was on its way");
    }

    #[test]
    fn it_cuts_and_refuses() {
        let proxy = ChaosProxy::before(echo());
        let mut stream = connect(&proxy);
        ask(&stream);
        proxy.cut();
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
        ask(&connect(&proxy));
        for _ in 0..3 {
            proxy.set(Weather::Refusing);
            assert!(TcpStream::connect(proxy.address()).is_err());
            proxy.set(Weather::Fair);
            ask(&connect(&proxy));
        }
    }
}
