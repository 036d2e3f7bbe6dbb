//! What a router does with a datagram, in the terms of RFC 4787.

use std::fmt;

/// The kinds of routers that the laboratory and the simulation both have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouterKind {
    /// One port for all destinations, and lets in everybody.
    FullCone,
    /// One port for all destinations, and lets in who has an address that the host has written to.
    AddressRestricted,
    /// One port for all destinations, and lets in whom the host has written to from that very port.
    PortRestricted,
    /// Linux source NAT with no filter behind it: a stray datagram opens a flow to the router itself, which then owns
    /// the port that a later flow of the host would need.
    BareMasquerade,
    /// The same behind a filter that drops what it does not expect, so that a stray datagram leaves no trace: the
    /// common home router.
    HomeRouter,
    /// Another port for each destination ("symmetric"), and lets in whom the host has written to.
    Hard,
    /// A full cone whose hosts reach each other by its outer address, too (RFC 4787, section 6).
    Hairpin,
    /// No translation: a stateful firewall, as in front of IPv6 hosts.
    Firewall,
}

impl RouterKind {
    /// The kinds of the table in [`crate::expected`], in its order.
    pub const TABLE: [Self; 6] = [
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::BareMasquerade,
        Self::HomeRouter,
        Self::Hard,
    ];

    /// What it does.
    pub fn behaviour(self) -> Behaviour {
        let cone = Behaviour {
            mapping: Mapping::EndpointIndependent,
            filtering: Filtering::AddressAndPortDependent,
            strays: Strays::LeaveNoTrace,
            hairpin: false,
        };
        match self {
            Self::FullCone => Behaviour { filtering: Filtering::EndpointIndependent, ..cone },
            Self::AddressRestricted => Behaviour { filtering: Filtering::AddressDependent, ..cone },
            Self::PortRestricted => cone,
            Self::BareMasquerade => {
                Behaviour { mapping: Mapping::PortPreserving, strays: Strays::TakeThePort, ..cone }
            }
            Self::HomeRouter => Behaviour { mapping: Mapping::PortPreserving, ..cone },
            Self::Hard => Behaviour { mapping: Mapping::AddressAndPortDependent, ..cone },
            Self::Hairpin => Behaviour { filtering: Filtering::EndpointIndependent, hairpin: true, ..cone },
            Self::Firewall => Behaviour { mapping: Mapping::None, ..cone },
        }
    }
}

impl fmt::Display for RouterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FullCone => "full cone",
            Self::AddressRestricted => "addr-restr",
            Self::PortRestricted => "port-restr",
            Self::BareMasquerade => "bare masq",
            Self::HomeRouter => "home router",
            Self::Hard => "hard",
            Self::Hairpin => "hairpin",
            Self::Firewall => "firewall",
        })
    }
}

/// What a router does with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Which outer port a host's datagram leaves by.
    pub mapping: Mapping,
    /// Whose datagrams come in.
    pub filtering: Filtering,
    /// What one that does not come in leaves behind.
    pub strays: Strays,
    /// Whether hosts behind it reach each other by its outer address. They then see each other's outer addresses.
    pub hairpin: bool,
}

/// Which outer port a host's datagram leaves by (RFC 4787, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// No translation at all.
    None,
    /// One for each port of a host, whatever the destination; the same number where it is free.
    EndpointIndependent,
    /// Chosen anew for each destination: that of the newest flow of the same port of the host, else the host's own number,
    /// else a random one, whichever no other flow with that destination has. So it mostly looks endpoint-independent, and
    /// a port that was chosen once for want of another stays for all that follow. This is what Linux does
    /// (`get_unique_tuple`).
    PortPreserving,
    /// A random one for each destination.
    AddressAndPortDependent,
}

/// Whose datagrams come in (RFC 4787, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// Everybody's.
    EndpointIndependent,
    /// Of every address that the host has written to.
    AddressDependent,
    /// Of every address and port that the host has written to.
    AddressAndPortDependent,
}

/// What a datagram that does not come in leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strays {
    /// Nothing.
    LeaveNoTrace,
    /// A flow between its sender and the router itself: a host that later writes to that sender gets another port.
    TakeThePort,
}
