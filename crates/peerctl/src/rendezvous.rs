//! The way to other peers: the matchmaker, and what it is told of us.

use std::net::SocketAddr;

use anyhow::{Context as _, anyhow};
use peer_client::{BindError, Client, Config, ConnectError, NatKind, Path, PeerId, Refusal, Target, Via};
use peer_core::datagram::v2::ErrorCode;
use tokio::net::lookup_host;

use crate::cli::MatchmakerArgs;
use crate::failure::{Failure, OrHint as _};
use crate::identity::Identity;

/// Where a matchmaker listens when no port is named.
const MATCHMAKER_PORT: u16 = 12_345;

/// All addresses of a host, or of several with commas between.
pub(crate) async fn resolve_all(hosts: &str) -> Result<Vec<SocketAddr>, Failure> {
    let mut all = Vec::new();
    for host in hosts.split(',') {
        let found = lookup_host(with_port(host.trim()))
            .await
            .with_context(|| format!("the matchmaker {host:?} is not found"))
            .or_hint("name it as in --matchmaker m.example.org or 203.0.113.1:12345, without a scheme such as http://")?;
        all.extend(found);
    }
    Ok(all)
}

/// The addresses of `hosts` in one family: IPv4 where there is one, and IPv6 where that is wanted.
async fn servers(hosts: &str, ipv6: bool) -> Result<Vec<SocketAddr>, Failure> {
    let found = resolve_all(hosts).await?;
    let of =
        |ipv6: bool| found.iter().copied().filter(|address| address.is_ipv6() == ipv6).collect::<Vec<_>>();
    match of(ipv6) {
        // One that has no IPv4 needs no switch to be reached.
        none if none.is_empty() && !ipv6 => Ok(of(true)),
        wanted => Ok(wanted),
    }
}

/// The host and port of a text that may name no port.
fn with_port(host: &str) -> String {
    if host.parse::<std::net::Ipv6Addr>().is_ok() {
        return format!("[{host}]:{MATCHMAKER_PORT}");
    }
    let after_ip = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
    if after_ip.contains(':') { host.to_owned() } else { format!("{host}:{MATCHMAKER_PORT}") }
}

/// Registers with the matchmaker.
pub(crate) async fn register(args: &MatchmakerArgs, identity: Option<&Identity>) -> Result<Client, Failure> {
    let servers = servers(&args.matchmaker, args.ipv6).await?;
    let Some((server, others)) = servers.split_first() else {
        let family = if args.ipv6 { "IPv6" } else { "IPv4" };
        let error = anyhow!("the matchmaker {:?} has no {family} address", args.matchmaker);
        let hint = if args.ipv6 { "leave out --ipv6" } else { "name another with --matchmaker" };
        return Err(Failure::failed(error, hint));
    };
    let mut config = Config::new(*server).or_at(others.iter().copied());
    config.identity = identity.map(Identity::for_client);
    if let Some(listen) = args.listen {
        let is_deaf = !listen.ip().is_unspecified() && listen.is_ipv4() != server.is_ipv4();
        if is_deaf {
            return Err(Failure::usage(
                anyhow!("no answer of the matchmaker at {server} would come to {listen}"),
                "--listen is of the matchmaker's family: an IPv4 address, or IPv6 with --ipv6",
            ));
        }
        config.listen = listen;
    }
    Client::bind(config).await.map_err(|error| {
        let hint = bind_hint(&error, args);
        let silent = matches!(error, BindError::Silent);
        let error = anyhow!("the matchmaker at {server}: {error}");
        if silent { Failure::unreachable(error, hint) } else { Failure::failed(error, hint) }
    })
}

/// A peer as the command line names it: an id, an IP address, or an address and port.
pub(crate) fn target(text: &str) -> Result<Target, String> {
    let id = || text.parse::<PeerId>().ok().map(Target::Id);
    let address = || text.parse().ok().map(Target::Addr);
    let ip = || text.parse().ok().map(Target::Ip);
    id().or_else(address).or_else(ip).ok_or_else(|| {
        "a peer is an id of 43 characters, an IP address, or an address such as 203.0.113.5:41001".to_owned()
    })
}

/// Opens a way to a peer.
pub(crate) async fn reach(client: &Client, target: Target) -> Result<Path, Failure> {
    client.connect(target).await.map_err(|error| {
        let hint = connect_hint(error);
        match error {
            ConnectError::Ambiguous => Failure::usage(error, hint),
            ConnectError::NotFound | ConnectError::BothHard | ConnectError::NoPath { .. } => {
                Failure::unreachable(anyhow!(error).context("the peer cannot be reached"), hint)
            }
            error => Failure::failed(error, hint),
        }
    })
}

/// What to try where there is no registration.
fn bind_hint(error: &BindError, args: &MatchmakerArgs) -> String {
    match error {
        BindError::Io(_) if args.listen.is_some() => {
            "--listen is an address of this machine and a port that is free".to_owned()
        }
        BindError::Io(_) => {
            "see whether this machine has a network of the matchmaker's family, and open files left: ip route, ulimit -n"
                .to_owned()
        }
        BindError::Silent => format!(
            "see whether it is there and UDP passes: peerctl netcheck --matchmaker {}; a firewall has to let it out",
            args.matchmaker
        ),
        BindError::Refused(Refusal(code)) => refusal_hint(*code).to_owned(),
    }
}

/// What to try where a peer is not reached.
fn connect_hint(error: ConnectError) -> &'static str {
    match error {
        ConnectError::NotFound => {
            "the other side has to run peerctl serve or wait, with its key and at this matchmaker, and says its id when it starts"
        }
        ConnectError::Ambiguous => "its owner sees both when it starts: id and address",
        ConnectError::BothHard => {
            "one of the two needs another network, or a port that its router forwards (--listen)"
        }
        ConnectError::NoPath { .. } => {
            "try again; peerctl netcheck on both sides says which NAT lets nobody in, and a firewall has to let UDP out"
        }
        ConnectError::Silent => "the matchmaker may have been started again: run the command once more",
        ConnectError::Refused(Refusal(code)) => refusal_hint(code),
        ConnectError::LegacyServer => "name the peer by its IP address",
        ConnectError::Busy => "wait until some of them have ended",
        ConnectError::Closed => "run the command once more",
    }
}

fn refusal_hint(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Rate | ErrorCode::Full => "come again in a minute, or name another with --matchmaker",
        ErrorCode::BadToken | ErrorCode::BadSignature | ErrorCode::Unregistered => {
            "the way to the matchmaker may have changed meanwhile: run the command once more"
        }
        ErrorCode::NotFound | ErrorCode::Ambiguous => "name the peer by its id",
        ErrorCode::BadRequest | ErrorCode::TooBig | ErrorCode::TooSmall | ErrorCode::Other => {
            "the matchmaker may be of another version than this peerctl: docs/PROTOCOL.md has its words"
        }
    }
}

/// How a way goes, in words.
pub(crate) fn describe(path: &Path) -> String {
    let via = match path.via() {
        Via::Lan => "in the local network",
        Via::Mapped => "at its public address",
        Via::Observed => "at an address that it came from",
    };
    format!("{} {via}, after {} ms", path.peer(), path.took().as_millis())
}

/// A kind of NAT in words.
pub(crate) fn nat(kind: NatKind) -> &'static str {
    match kind {
        NatKind::Easy => "easy (one mapping for all destinations, or no NAT)",
        NatKind::Hard => "hard (another mapping for each destination)",
        NatKind::Unknown => "unknown (the matchmaker has no second port)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matchmaker_needs_no_port() {
        for (given, meant) in [
            ("m.example.org", "m.example.org:12345"),
            ("m.example.org:99", "m.example.org:99"),
            ("192.0.2.1", "192.0.2.1:12345"),
            ("2001:db8::1", "[2001:db8::1]:12345"),
            ("[2001:db8::1]", "[2001:db8::1]:12345"),
            ("[2001:db8::1]:99", "[2001:db8::1]:99"),
        ] {
            assert_eq!(with_port(given), meant);
        }
    }

    #[test]
    fn a_peer_has_three_names() {
        assert!(matches!(target("PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"), Ok(Target::Id(_))));
        assert!(matches!(target("203.0.113.5"), Ok(Target::Ip(_))));
        assert!(matches!(target("2001:db8::5"), Ok(Target::Ip(_))));
        assert!(matches!(target("203.0.113.5:41001"), Ok(Target::Addr(_))));
        assert!(matches!(target("[2001:db8::5]:41001"), Ok(Target::Addr(_))));
        for bad in ["", "home", "203.0.113.5:", "203.0.113.5:70000"] {
            assert!(target(bad).is_err(), "{bad:?}");
        }
    }
}
