//! Kinds of routers, as nftables rules.
//!
//! Every router has an interface `wan` and an interface `lan`. What a NAT does with a datagram is two questions (RFC
//! 4787): does it show one port to all destinations (mapping), and whom does it let in (filtering)?

/// What a household's router does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterKind {
    /// One port for all destinations, and lets in whom the host has written to from that very port: the common home
    /// router. It drops what it does not expect, so that a stray datagram leaves no trace.
    HomeRouter,
    /// The same without the drop: a stray datagram opens a flow to the router itself, which then owns the port that a
    /// later flow of the host would need.
    BareMasquerade,
    /// One port for all destinations, and lets in everybody.
    FullCone,
    /// Another port for each destination ("symmetric"), and lets in whom the host has written to.
    Hard,
}

impl RouterKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::HomeRouter, Self::BareMasquerade, Self::FullCone, Self::Hard];

    /// The rules for `nft -f`.
    pub fn rules(self) -> String {
        match self {
            Self::HomeRouter => format!("{}{STATEFUL}", masquerade("")),
            Self::BareMasquerade => masquerade(""),
            Self::FullCone => FULL_CONE.to_owned(),
            Self::Hard => format!("{}{STATEFUL}", masquerade("random,fully-random")),
        }
    }
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

/// Nothing new comes in from the wide area, neither to the router nor to a host.
const STATEFUL: &str = r#"
table ip filter {
  chain input {
    type filter hook input priority 0; policy accept;
    iifname "wan" ct state new drop
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname "wan" ct state established,related accept
    iifname "wan" drop
  }
}
"#;

/// Whoever writes to a port that a host has used is sent to that host.
const FULL_CONE: &str = r#"
table ip nat {
  map holders {
    type inet_service : ipv4_addr . inet_service
    flags dynamic
    size 65535
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    iifname "wan" meta l4proto udp dnat ip to udp dport map @holders
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "wan" meta l4proto udp update @holders { udp sport : ip saddr . udp sport }
    oifname "wan" masquerade
  }
}
"#;
