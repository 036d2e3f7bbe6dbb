//! The kinds of routers as nftables rules.
//!
//! Every router has an interface `wan` and an interface `lan`. What a NAT does with a datagram is two questions (RFC
//! 4787): does it show one port to all destinations (mapping), and whom does it let in (filtering)? The kinds and their
//! answers are those of the simulation.

use std::net::IpAddr;

pub use nat_simulator::RouterKind;
use nat_simulator::{Filtering, Mapping, Strays};

/// The rules for `nft -f` of a router with this outer address.
pub fn rules(kind: RouterKind, outer: IpAddr) -> String {
    let behaviour = kind.behaviour();
    match behaviour.mapping {
        Mapping::None => FIREWALL.to_owned(),
        Mapping::EndpointIndependent if behaviour.hairpin => {
            format!("{}{NOTHING_FOR_THE_ROUTER}", cone(ANYBODY, "fib daddr type local", &back_inside(outer)))
        }
        Mapping::EndpointIndependent => {
            let who = match behaviour.filtering {
                Filtering::EndpointIndependent => ANYBODY,
                Filtering::AddressDependent => CONTACTED_ADDRESS,
                Filtering::AddressAndPortDependent => CONTACTED_ENDPOINT,
            };
            format!("{}{NOTHING_FOR_THE_ROUTER}", cone(who, "iifname \"wan\"", ""))
        }
        Mapping::PortPreserving if behaviour.strays == Strays::TakeThePort => masquerade(""),
        Mapping::PortPreserving => format!("{}{NOTHING_FOR_THE_ROUTER}{NOTHING_NEW}", masquerade("")),
        Mapping::AddressAndPortDependent => {
            format!("{}{NOTHING_FOR_THE_ROUTER}{NOTHING_NEW}", masquerade("random,fully-random"))
        }
    }
}

/// Commands for `nft -f` that empty what the rules of this kind remember.
pub(crate) fn forgetting(kind: RouterKind) -> &'static str {
    match kind.behaviour().mapping {
        Mapping::EndpointIndependent => {
            "flush map ip nat holders\nflush set ip nat contacted\nflush set ip nat contacted_addresses\n"
        }
        Mapping::None | Mapping::PortPreserving | Mapping::AddressAndPortDependent => "",
    }
}

/// As a container engine does it: the port is published, and whoever comes by it is hidden from the server.
pub(crate) fn publish(port: u16, server: IpAddr) -> String {
    format!(
        r#"
table ip nat {{
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    iifname "wan" udp dport {port} dnat to {server}:{port}
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "lan" masquerade
  }}
}}
"#
    )
}

/// Source NAT alone. The kernel keeps the host's port where that is free.
fn masquerade(how: &str) -> String {
    format!(
        r#"
table ip nat {{
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "wan" masquerade {how}
  }}
}}
"#
    )
}

/// A datagram to a port that a host has used goes to that host, from whoever is let in. What is remembered is by the
/// host's port: two hosts of a household must not use the same.
fn cone(who: &str, arriving: &str, also: &str) -> String {
    format!(
        r#"
table ip nat {{
  map holders {{
    type inet_service : ipv4_addr . inet_service
    flags dynamic
    size 65535
  }}
  set contacted {{
    type inet_service . ipv4_addr . inet_service
    flags dynamic
    size 65535
  }}
  set contacted_addresses {{
    type inet_service . ipv4_addr
    flags dynamic
    size 65535
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    {arriving} meta l4proto udp {who} dnat ip to udp dport map @holders
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    {also}
    oifname "wan" meta l4proto udp update @holders {{ udp sport : ip saddr . udp sport }}
    oifname "wan" meta l4proto udp update @contacted {{ udp sport . ip daddr . udp dport }}
    oifname "wan" meta l4proto udp update @contacted_addresses {{ udp sport . ip daddr }}
    oifname "wan" masquerade
  }}
}}
"#
    )
}

const ANYBODY: &str = "";
const CONTACTED_ADDRESS: &str = "udp dport . ip saddr @contacted_addresses";
const CONTACTED_ENDPOINT: &str = "udp dport . ip saddr . udp sport @contacted";

/// Hosts that reach each other by the outer address see each other's outer address (RFC 4787, REQ-9).
fn back_inside(outer: IpAddr) -> String {
    format!("oifname \"lan\" ct status dnat snat to {outer}")
}

/// What is not expected does not reach the router itself, and so opens no flow.
const NOTHING_FOR_THE_ROUTER: &str = r#"
table ip router {
  chain input {
    type filter hook input priority 0; policy accept;
    iifname "wan" ct state new drop
  }
}
"#;

/// Nothing new comes in from the wide area to a host.
const NOTHING_NEW: &str = r#"
table ip hosts {
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname "wan" ct state established,related accept
    iifname "wan" drop
  }
}
"#;

/// Both for IPv6 hosts. Neighbour discovery goes on.
const FIREWALL: &str = r#"
table ip6 hosts {
  chain input {
    type filter hook input priority 0; policy accept;
    iifname "wan" meta l4proto udp ct state new drop
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname "wan" ct state established,related accept
    iifname "wan" drop
  }
}
"#;
