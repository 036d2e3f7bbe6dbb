use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1/128"];
/// RFC 1918 and RFC 4193.
const PRIVATE: &[&str] = &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
/// As published at <https://www.cloudflare.com/ips/>; unchanged since 2021.
const CLOUDFLARE: &[&str] = &[
    "173.245.48.0/20",
    "103.21.244.0/22",
    "103.22.200.0/22",
    "103.31.4.0/22",
    "141.101.64.0/18",
    "108.162.192.0/18",
    "190.93.240.0/20",
    "188.114.96.0/20",
    "197.234.240.0/22",
    "198.41.128.0/17",
    "162.158.0.0/15",
    "104.16.0.0/13",
    "104.24.0.0/14",
    "172.64.0.0/13",
    "131.0.72.0/22",
    "2400:cb00::/32",
    "2606:4700::/32",
    "2803:f800::/32",
    "2405:b500::/32",
    "2405:8100::/32",
    "2a06:98c0::/29",
    "2c0f:f248::/32",
];

/// The machines that are believed when they say for whom they ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether `address`, in canonical form, is one of them.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut networks = Vec::new();
        for item in text.split(',').map(str::trim) {
            let named = match item {
                "loopback" => LOOPBACK,
                "private" => PRIVATE,
                "cloudflare" => CLOUDFLARE,
                "none" => &[],
                address => &[address][..],
            };
            for network in named {
                networks.push(parse_network(network).ok_or_else(|| {
                    format!("{network:?} is no address, no network such as 10.0.0.0/8 and none of the words loopback, private, cloudflare, none")
                })?);
            }
        }
        Ok(Self(IpNet::aggregate(&networks)))
    }
}

fn parse_network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn words_networks_and_addresses_are_understood() {
        let trusted: TrustedProxies =
            "loopback, private,cloudflare,203.0.113.7,2001:db8::/32".parse().unwrap();
        for inside in [
            "127.9.9.9",
            "::1",
            "10.1.2.3",
            "172.31.0.1",
            "fd00::1",
            "104.16.0.1",
            "203.0.113.7",
            "2001:db8::9",
        ] {
            assert!(trusted.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["128.0.0.1", "::2", "11.0.0.1", "172.32.0.1", "fe80::1", "203.0.113.8", "2001:db9::9"]
        {
            assert!(!trusted.contains(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn none_trusts_nobody_and_anything_else_is_refused() {
        assert_eq!("none".parse::<TrustedProxies>(), Ok(TrustedProxies::default()));
        for text in ["", "everyone", "10.0.0.0/33", "loopback,", "10.0.0.0/8;127.0.0.1"] {
            assert!(text.parse::<TrustedProxies>().is_err(), "{text:?}");
        }
    }
}
