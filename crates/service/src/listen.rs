use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::str::FromStr;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::settings::{BadSetting, Setting, Settings};
use crate::{Failure, Flags};

/// Connections that the kernel keeps for us until they are accepted, in connections.
const TCP_BACKLOG: i32 = 1_024;

/// The addresses of one listener, with the setting that they come from. At least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddrs {
    addrs: Vec<SocketAddr>,
    setting: &'static str,
}

impl ListenAddrs {
    /// Reads `setting`.
    pub fn read(settings: &Settings, setting: &'static Setting) -> Result<Self, BadSetting> {
        let list: AddrList = settings.required(setting)?;
        Ok(Self { addrs: list.0, setting: setting.name })
    }

    /// The same with `--host` and `--port` of the command line in place: a host replaces all addresses, a port
    /// alone only theirs.
    pub fn with_flags(mut self, flags: &Flags) -> Result<Self, BadSetting> {
        if let Some(host) = &flags.host {
            let ip = host_address(host).ok_or_else(|| BadSetting::Value {
                name: "--host",
                value: host.clone(),
                origin: "command line".to_owned(),
                reason: "an IPv4 or IPv6 address, or localhost".to_owned(),
            })?;
            self.addrs.truncate(1);
            self.addrs.iter_mut().for_each(|addr| addr.set_ip(ip));
        }
        if let Some(port) = flags.port {
            self.addrs.iter_mut().for_each(|addr| addr.set_port(port));
            self.addrs.dedup();
        }
        Ok(self)
    }

    /// The first of them.
    pub fn first(&self) -> Option<SocketAddr> {
        self.addrs.first().copied()
    }

    /// The same addresses on the port that `setting` names.
    #[must_use]
    pub fn at_port(&self, port: u16, setting: &'static Setting) -> Self {
        let mut addrs = Vec::with_capacity(self.addrs.len());
        for addr in &self.addrs {
            let addr = SocketAddr::new(addr.ip(), port);
            if !addrs.contains(&addr) {
                addrs.push(addr);
            }
        }
        Self { addrs, setting: setting.name }
    }

    /// Binds each address with `bind`. The unspecified IPv6 address is left out, with a warning, on a machine
    /// that has no IPv6 and where another address is there; any other failure is final.
    fn bind<T>(&self, bind: impl Fn(SocketAddr) -> io::Result<T>) -> Result<Vec<T>, Failure> {
        let mut bound = Vec::with_capacity(self.addrs.len());
        for addr in &self.addrs {
            match bind(*addr) {
                Ok(socket) => bound.push(socket),
                Err(error) if self.addrs.len() > 1 && is_missing_ipv6(*addr, &error) => {
                    tracing::warn!(%addr, %error, "no IPv6 on this machine; left out");
                }
                Err(error) => return Err(Failure::run(format!("{} {addr}", self.setting), error)),
            }
        }
        Ok(bound)
    }
}

impl fmt::Display for ListenAddrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, addr) in self.addrs.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{addr}")?;
        }
        Ok(())
    }
}

/// TCP listeners on all of `addrs`, non-blocking, ready for an HTTP server.
pub fn bind_tcp(addrs: &ListenAddrs) -> Result<Vec<TcpListener>, Failure> {
    addrs.bind(|addr| {
        let socket = socket(addr, Type::STREAM, Protocol::TCP)?;
        // A restart must not wait for the connections of its predecessor to leave TIME_WAIT.
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())?;
        socket.listen(TCP_BACKLOG)?;
        Ok(socket.into())
    })
}

/// UDP sockets on all of `addrs`, `each` for an address, that ask the kernel for a receive buffer of
/// `receive_buffer_bytes` (it gives what `net.core.rmem_max` allows). The kernel spreads senders over the sockets of an
/// address (`SO_REUSEPORT`, socket(7)).
pub fn bind_udp(
    addrs: &ListenAddrs,
    each: usize,
    receive_buffer_bytes: usize,
) -> Result<Vec<Vec<UdpSocket>>, Failure> {
    addrs.bind(|addr| {
        let bind = |addr: SocketAddr, share: bool| {
            let socket = socket(addr, Type::DGRAM, Protocol::UDP)?;
            socket.set_recv_buffer_size(receive_buffer_bytes)?;
            socket.set_reuse_port(share)?;
            socket.bind(&addr.into())?;
            Ok::<UdpSocket, io::Error>(socket.into())
        };
        // The first alone, so that another process on this port is met and not joined; it is shared from then on.
        let first = bind(addr, false)?;
        let mut sockets = vec![first];
        if let Some(first) = sockets.first()
            && each > 1
        {
            SockRef::from(first).set_reuse_port(true)?;
            // Port 0 was a question.
            let addr = first.local_addr()?;
            for _ in 1..each {
                sockets.push(bind(addr, true)?);
            }
        }
        Ok(sockets)
    })
}

fn socket(addr: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    if addr.is_ipv6() {
        // A socket for each family: an IPv4 peer is seen as such, and both can be bound to one port.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn is_missing_ipv6(addr: SocketAddr, error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    addr.is_ipv6()
        && addr.ip().is_unspecified()
        && (error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT))
}

fn host_address(host: &str) -> Option<IpAddr> {
    if host == "localhost" {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

struct AddrList(Vec<SocketAddr>);

impl FromStr for AddrList {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ALLOWED: &str =
            "one or more ADDRESS:PORT such as 0.0.0.0:8000 or [::]:8000, separated by commas";
        let addrs: Vec<SocketAddr> =
            text.split(',').map(|addr| addr.trim().parse().map_err(|_| ALLOWED)).collect::<Result<_, _>>()?;
        let mut unique = addrs.clone();
        unique.sort_unstable();
        unique.dedup();
        // Port 0 may be asked for twice: that makes two ports.
        if unique.len() < addrs.iter().filter(|addr| addr.port() != 0).count() {
            return Err("each address once");
        }
        Ok(Self(addrs))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    fn listen(list: &str, host: Option<&str>, port: Option<u16>) -> String {
        let AddrList(addrs) = list.parse().map_err(|_| "list").unwrap();
        let flags = Flags { host: host.map(str::to_owned), port, config: None };
        ListenAddrs { addrs, setting: "X_LISTEN" }.with_flags(&flags).unwrap().to_string()
    }

    #[test]
    fn flags_replace_what_they_name_and_keep_the_rest() {
        let both = "0.0.0.0:8000,[::]:8000";
        assert_eq!(listen(both, None, None), both);
        assert_eq!(listen(both, None, Some(9)), "0.0.0.0:9,[::]:9");
        assert_eq!(listen(both, Some("127.0.0.1"), None), "127.0.0.1:8000");
        assert_eq!(listen(both, Some("[::1]"), Some(9)), "[::1]:9");
        assert_eq!(listen(both, Some("localhost"), Some(0)), "127.0.0.1:0");
    }

    #[test]
    fn another_port_is_there_once_on_each_address() {
        let AddrList(addrs) = "0.0.0.0:1,0.0.0.0:2,[::]:1".parse().map_err(|_| "list").unwrap();
        let listen = ListenAddrs { addrs, setting: "X_LISTEN" };
        let alt = listen.at_port(3, &crate::settings::catalogue::MATCHMAKER_ALT_PORT);
        assert_eq!(alt.to_string(), "0.0.0.0:3,[::]:3");
    }

    #[test]
    fn a_list_that_is_no_list_of_addresses_is_refused() {
        for list in
            ["", "8000", "0.0.0.0", "localhost:8000", "0.0.0.0:8000,", "0.0.0.0:70000", "1.2.3.4:5,1.2.3.4:5"]
        {
            assert!(list.parse::<AddrList>().is_err(), "{list:?}");
        }
    }

    #[test]
    fn a_port_in_use_is_named_with_its_setting() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        let failure =
            bind_tcp(&ListenAddrs { addrs: vec![addr], setting: "X_LISTEN" }).unwrap_err().to_string();
        assert!(failure.starts_with(&format!("X_LISTEN {addr}: Address already in use")), "{failure}");
    }
}
