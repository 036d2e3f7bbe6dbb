use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::Identity;

/// What a [`crate::Client`] has to be told.
#[derive(Debug, Clone)]
pub struct Config {
    /// The matchmaker. Peers are reached by its address family, IPv4 or IPv6.
    pub server: SocketAddr,
    /// Other matchmakers whose peers it reaches (docs/NODES.md), for when it does not answer. Of at most 16, those of its address
    /// family are used; it names more itself when it ends.
    pub others: Vec<SocketAddr>,
    /// Where to listen: by default every address of the server's family, and a free port.
    pub listen: SocketAddr,
    /// The key that others may find this peer by. Without one they find it by its address.
    pub identity: Option<Identity>,
    /// Addresses in the local network, which peers behind the same NAT are told of: by default those of the interfaces. At
    /// most six are used, those that are private (RFC 1918), shared (RFC 6598) or unique local (RFC 4193).
    pub lan: Option<Vec<IpAddr>>,
}

impl Config {
    /// For a server, with all else by default and no identity.
    pub fn new(server: SocketAddr) -> Self {
        let any: IpAddr =
            if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        Self { server, others: Vec::new(), listen: SocketAddr::new(any, 0), identity: None, lan: None }
    }

    /// The same, going on with these when the server does not answer, in this order.
    #[must_use]
    pub fn or_at(mut self, others: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.others.extend(others);
        self
    }

    /// The same, to be found by an id.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The same, listening there.
    #[must_use]
    pub fn listening_at(mut self, listen: SocketAddr) -> Self {
        self.listen = listen;
        self
    }
}
