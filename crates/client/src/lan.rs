use std::net::{IpAddr, SocketAddr};

use peer_core::datagram::v2::{LanAddrs, is_lan};

/// Where peers in the same network find a socket that is bound to `local`: at the addresses that it was given, or else those
/// of the interfaces.
pub(crate) fn addresses(local: SocketAddr, given: Option<&[IpAddr]>) -> LanAddrs {
    let ips = match given {
        Some(ips) => ips.to_vec(),
        None if local.ip().is_unspecified() => of_interfaces(),
        None => vec![local.ip()],
    };
    let addrs = ips.into_iter().map(|ip| SocketAddr::new(ip, local.port()));
    addrs.filter(|addr| addr.is_ipv4() == local.is_ipv4() && is_lan(*addr)).collect()
}

/// None where the system does not say: then peers in the same network have to go by the NAT.
fn of_interfaces() -> Vec<IpAddr> {
    if_addrs::get_if_addrs().unwrap_or_default().iter().map(if_addrs::Interface::ip).collect()
}
