//! What the network between us and a matchmaker does to our datagrams.

mod asking;
mod filtering;
mod report;

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use peer_core::datagram::v2::{Connect, Reply, Request, Status, Target};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use asking::{Asker, Registered, new_tid};
pub(crate) use report::{Family, Report};
use report::{Finding, Lifetime, Mapping};

/// How long a datagram to ourselves may take by way of the router.
const HAIRPIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Silences after which a mapping is tried, in seconds; a registration lives 120.
const SILENCES_SECS: [u64; 7] = [15, 25, 35, 50, 65, 90, 115];
/// How long the word of the server may take to come through a mapping: it is sent again until 1.7 seconds after the first.
const WORD_TIMEOUT: Duration = Duration::from_secs(3);

/// Looks at one address family.
pub(crate) async fn check(server: SocketAddr, with_lifetime: bool) -> anyhow::Result<Family> {
    let asker = Asker::bind(server).await?;
    let registered = asker.register().await?;
    let (mapping, alternate) = mapping(&asker, &registered).await?;
    let hairpin = hairpin(server, registered.address).await?;
    let filtering = filtering::check(server).await?;
    let lifetime = if with_lifetime { Some(lifetime(server).await?) } else { None };
    asker.unregister(&registered).await;
    Ok(Family {
        server,
        local: asker.local(),
        public: registered.address,
        translated: asker.local() != registered.address,
        mapping,
        alternate,
        filtering,
        hairpin,
        lifetime,
    })
}

/// Whether the server's other port sees us at the same address, and at which one it does.
async fn mapping(asker: &Asker, registered: &Registered) -> anyhow::Result<(Mapping, Option<SocketAddr>)> {
    let Status::Ok { alt_port: Some(port), .. } = registered.status else {
        return Ok((Mapping::Unknown, None));
    };
    let probe = |tid| Request::Probe { tid, token: registered.token, addr: registered.address };
    let alternate = SocketAddr::new(asker.server().ip(), port);
    match asker.ask_at(alternate, probe).await {
        Ok(Reply::Nat { addr, .. }) if addr == registered.address => Ok((Mapping::Easy, Some(addr))),
        Ok(Reply::Nat { addr, .. }) => Ok((Mapping::Hard, Some(addr))),
        // A firewall may let one port through only.
        Ok(_) | Err(_) => Ok((Mapping::Unknown, None)),
    }
}

/// Whether a datagram to our own public address comes back in.
async fn hairpin(server: SocketAddr, public: SocketAddr) -> anyhow::Result<Finding> {
    let from = Asker::bind(server).await?;
    let to = Asker::bind(server).await?;
    let target = to.register().await?;
    if target.address.ip() != public.ip() {
        // Several public addresses: whether they reach each other says nothing of one.
        return Ok(Finding::Unknown);
    }
    let marker = new_tid()?.as_str().as_bytes().to_vec();
    let sent = from.socket().send_to(&marker, target.address).await;
    let came = sent.is_ok() && receives(to.socket(), HAIRPIN_TIMEOUT, |datagram| datagram == marker).await?;
    to.unregister(&target).await;
    Ok(if came { Finding::Yes } else { Finding::No })
}

/// How long a mapping lives in silence: one socket for each length, all at once. After it another peer has the server send
/// a word to that socket, which arrives where the mapping is still there.
async fn lifetime(server: SocketAddr) -> anyhow::Result<Lifetime> {
    let mut tries = JoinSet::new();
    for secs in SILENCES_SECS {
        tries.spawn(async move {
            let alive = survives(server, Duration::from_secs(secs)).await?;
            Ok::<_, anyhow::Error>((secs, alive))
        });
    }
    let mut lifetime = Lifetime::default();
    let mut open = BTreeSet::from(SILENCES_SECS);
    while let Some(tried) = tries.join_next().await {
        let (secs, alive) = tried??;
        lifetime.count((secs, alive));
        open.remove(&secs);
        // Whatever is longer than one that was not survived need not be waited for.
        if lifetime.lost_secs.is_some_and(|lost| open.range(..lost).next().is_none()) {
            break;
        }
    }
    Ok(lifetime)
}

async fn survives(server: SocketAddr, silence: Duration) -> anyhow::Result<bool> {
    let silent = Asker::bind(server).await?;
    let target = silent.register().await?;
    sleep_until(Instant::now() + silence).await;
    let caller = Asker::bind(server).await?;
    let token = caller.register().await?.token;
    let connect = |tid| Request::Connect(Connect { tid, token, target: Target::Addr(target.address) });
    match caller.ask(connect).await? {
        Reply::Peer(_) => {}
        other => anyhow::bail!("the matchmaker does not send a word to our other socket: {other:?}"),
    }
    let is_word = |datagram: &[u8]| matches!(Reply::decode(datagram), Ok(Reply::Peer(_)));
    receives(silent.socket(), WORD_TIMEOUT, is_word).await
}

/// Whether such a datagram comes within `limit`.
async fn receives(
    socket: &UdpSocket,
    limit: Duration,
    wanted: impl Fn(&[u8]) -> bool,
) -> anyhow::Result<bool> {
    let until = Instant::now() + limit;
    let mut buffer = vec![0; asking::DATAGRAM_MAX_BYTES];
    loop {
        match timeout_at(until, socket.recv_from(&mut buffer)).await {
            Err(_) => return Ok(false),
            Ok(Ok((length, _))) if wanted(buffer.get(..length).unwrap_or_default()) => return Ok(true),
            // Another datagram, or the ICMP of one that we sent.
            Ok(_) => {}
        }
    }
}

/// A socket for a server of this family.
async fn bind(server: SocketAddr) -> anyhow::Result<UdpSocket> {
    let any = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind(SocketAddr::new(any, 0)).await.context("no socket")
}

/// The address that the system sends from to this server.
async fn source(server: SocketAddr) -> io::Result<std::net::IpAddr> {
    let any = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(server).await?;
    Ok(socket.local_addr()?.ip())
}
