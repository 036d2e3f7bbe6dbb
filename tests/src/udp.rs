//! A peer of the matchmaker: one UDP socket.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The longest wait for a datagram that is due.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// More than any datagram can hold.
const BUFFER_BYTES: usize = 65_536;

/// An address that nobody registers (RFC 5737), so that asking for it has one known answer and no effect.
const NOBODY: &str = "192.0.2.77";

/// A peer that speaks to one matchmaker.
#[derive(Debug)]
pub struct UdpPeer {
    socket: UdpSocket,
    server: SocketAddr,
}

impl UdpPeer {
    /// On a free port of `ip`. The socket is not connected, so that an answer from a wrong address is seen.
    pub fn bound_to(ip: IpAddr, server: SocketAddr) -> Self {
        Self::over(UdpSocket::bind((ip, 0)).expect("the address is ours"), server)
    }

    /// On the address that this text names.
    pub fn at(ip: &str, server: SocketAddr) -> Self {
        Self::bound_to(ip.parse().expect("an address"), server)
    }

    /// With a socket that exists, which may be inside a network namespace.
    pub fn over(socket: UdpSocket, server: SocketAddr) -> Self {
        Self { socket, server }
    }

    /// Its own address.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    /// Its address as the protocol writes it.
    pub fn pair(&self) -> Value {
        pair(self.address())
    }

    /// The socket, for what does not go to the server.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Sends any bytes to the server.
    #[track_caller]
    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        assert_eq!(self.socket.send_to(bytes, self.server).expect("sent"), bytes.len());
    }

    /// Sends a message to the server.
    #[track_caller]
    pub fn say(&self, message: &Value) {
        self.send(message.to_string());
    }

    /// Registers, and gives the address that the server saw.
    #[track_caller]
    pub fn register(&self) -> SocketAddr {
        self.say(&json!({"type": "register"}));
        let answer = self.receive();
        let seen = from_pair(&answer["addr"]);
        assert_eq!(answer, json!({"type": "your_addr", "addr": pair(seen)}));
        seen
    }

    /// Asks for `target`, and waits for nothing.
    #[track_caller]
    pub fn connect(&self, target: &str) {
        self.say(&json!({"type": "connect", "target_ip": target}));
    }

    /// The next datagram and where it came from, within `limit`.
    pub fn receive_within(&self, limit: Duration) -> Option<(Vec<u8>, SocketAddr)> {
        receive(&self.socket, limit)
    }

    /// The next message. Panics where none comes, where it is no JSON, or where it does not come from the very address
    /// that was asked.
    #[track_caller]
    pub fn receive(&self) -> Value {
        let (bytes, from) = self.receive_within(ANSWER_TIMEOUT).expect("an answer");
        assert_eq!(from, self.server, "the answer's source");
        serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes)))
    }

    /// Panics unless the next message is this one.
    #[track_caller]
    pub fn expect(&self, message: &Value) {
        assert_eq!(&self.receive(), message);
    }

    /// Panics unless all that was sent before has been answered and read.
    ///
    /// A question with a known answer is sent behind it; the server answers one socket in order, so that no time has to
    /// be waited for.
    #[track_caller]
    pub fn expect_silence(&self) {
        self.connect(NOBODY);
        self.expect(&not_found(NOBODY));
    }
}

/// An address as the protocol writes it.
pub fn pair(address: SocketAddr) -> Value {
    json!([address.ip().to_string(), address.port()])
}

/// The address that the protocol has written.
#[track_caller]
pub fn from_pair(value: &Value) -> SocketAddr {
    let ip = value[0].as_str().and_then(|text| text.parse::<IpAddr>().ok());
    let port = value[1].as_u64().and_then(|port| u16::try_from(port).ok());
    match (ip, port) {
        (Some(ip), Some(port)) => SocketAddr::new(ip, port),
        _ => panic!("no address: {value}"),
    }
}

/// What both sides of a connect are told about the other.
pub fn peer(address: SocketAddr) -> Value {
    json!({"type": "peer", "peer": pair(address)})
}

/// The answer for a target that is not there.
pub fn not_found(target: &str) -> Value {
    error(&format!("target {target} not found or offline"))
}

/// An error message.
pub fn error(text: &str) -> Value {
    json!({"type": "error", "msg": text})
}

/// The next datagram that any socket gets within `limit`, and where it came from.
pub fn receive(socket: &UdpSocket, limit: Duration) -> Option<(Vec<u8>, SocketAddr)> {
    let deadline = Instant::now() + limit;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        socket.set_read_timeout(Some(left)).expect("a time above zero");
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                buffer.truncate(length);
                return Some((buffer, from));
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return None,
                // A signal, or the ICMP of an earlier datagram: neither is what we wait for.
                io::ErrorKind::Interrupted | io::ErrorKind::ConnectionRefused => {}
                _ => panic!("{error}"),
            },
        }
    }
}
