//! Whose request is it? The one answer is used to register, to limit and to log.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderName};
use peer_core::Peer;

use crate::proxies::TrustedProxies;

const CF_CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The caller, and how many addresses in its headers were none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) peer: Peer,
    pub(crate) broken_headers: u32,
    /// Whether a trusted proxy handed the request on, or may have.
    pub(crate) proxied: bool,
}

impl Caller {
    /// Whether it is on this machine for sure: nobody outside can forge that.
    pub(crate) fn is_local(self) -> bool {
        self.peer.ip().is_loopback() && !self.proxied
    }
}

/// The caller is who the other end of the socket is, unless that is a trusted proxy which names somebody else:
/// in `cf-connecting-ip`, or else in `x-forwarded-for`, read from the right past further trusted proxies, since
/// only the right part was written by machines that we trust. What is no address is passed over. `None` when no
/// host can have the socket's address.
pub(crate) fn resolve(socket: SocketAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> Option<Caller> {
    let peer = Peer::new(socket.ip()).ok()?;
    let mut caller = Caller { peer, broken_headers: 0, proxied: false };
    if !trusted.contains(peer.ip()) {
        return Some(caller);
    }
    caller.proxied = headers.contains_key(CF_CONNECTING_IP) || headers.contains_key(X_FORWARDED_FOR);
    if !caller.proxied {
        return Some(caller);
    }
    let mut cloudflare = headers.get_all(CF_CONNECTING_IP);
    if let Some(value) = cloudflare.next() {
        match (value.to_str().ok().and_then(parse_hop), cloudflare.next()) {
            (Some(peer), None) => return Some(Caller { peer, ..caller }),
            // Two of them were not both written by Cloudflare.
            _ => caller.broken_headers += 1,
        }
    }
    let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).collect();
    for line in lines.into_iter().rev() {
        let Ok(line) = line.to_str() else {
            caller.broken_headers += 1;
            continue;
        };
        for hop in line.rsplit(',') {
            let Some(peer) = parse_hop(hop) else {
                caller.broken_headers += 1;
                continue;
            };
            caller.peer = peer;
            if !trusted.contains(peer.ip()) {
                return Some(caller);
            }
        }
    }
    Some(caller)
}

/// An address, also with a port behind it as some proxies write it.
fn parse_hop(text: &str) -> Option<Peer> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let address: IpAddr = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(bare) => IpAddr::V6(bare.parse().ok()?),
            None => text.parse::<SocketAddr>().ok()?.ip(),
        };
        Peer::new(address).ok()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn caller(socket: &str, headers: &[(&str, &str)]) -> (String, u32) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let trusted = "loopback,private".parse().unwrap();
        let caller = resolve(SocketAddr::new(socket.parse().unwrap(), 1), &map, &trusted).unwrap();
        (caller.peer.to_string(), caller.broken_headers)
    }

    #[test]
    fn a_header_counts_only_from_a_trusted_proxy() {
        let headers = [("cf-connecting-ip", "198.51.100.1"), ("x-forwarded-for", "198.51.100.2")];
        assert_eq!(caller("203.0.113.5", &headers), ("203.0.113.5".to_owned(), 0));
        assert_eq!(caller("127.0.0.1", &headers), ("198.51.100.1".to_owned(), 0));
        assert_eq!(caller("::ffff:10.0.0.2", &headers[1..]), ("198.51.100.2".to_owned(), 0));
        assert_eq!(caller("10.0.0.2", &[]), ("10.0.0.2".to_owned(), 0));
    }

    #[test]
    fn x_forwarded_for_is_walked_from_the_right_past_trusted_hops() {
        let walk = |value| caller("127.0.0.1", &[("X-Forwarded-For", value)]).0;
        assert_eq!(walk("198.51.100.1"), "198.51.100.1");
        assert_eq!(walk("6.6.6.6, 198.51.100.1"), "198.51.100.1");
        assert_eq!(walk("6.6.6.6, 198.51.100.1, 10.0.0.9 , 192.168.1.1"), "198.51.100.1");
        assert_eq!(walk("10.0.0.7, 10.0.0.8"), "10.0.0.7");
        assert_eq!(walk("2001:DB8::1"), "2001:db8::1");
        assert_eq!(walk("::ffff:198.51.100.1"), "198.51.100.1");
        assert_eq!(walk("198.51.100.1:4711, [fd00::1]:80, [fd00::2]"), "198.51.100.1");
    }

    #[test]
    fn only_who_comes_without_a_proxy_is_local() {
        let is_local = |socket: &str, header: Option<&str>| {
            let mut map = HeaderMap::new();
            if let Some(value) = header {
                map.insert(X_FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
            }
            let trusted = "loopback,private".parse().unwrap();
            resolve(SocketAddr::new(socket.parse().unwrap(), 1), &map, &trusted).unwrap().is_local()
        };
        assert!(is_local("127.0.0.1", None) && is_local("::1", None));
        assert!(!is_local("127.0.0.1", Some("127.0.0.1")) && !is_local("127.0.0.1", Some("")));
        assert!(!is_local("10.0.0.2", Some("127.0.0.1")) && !is_local("203.0.113.5", None));
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "198.51.100.1, 10.0.0.3")];
        assert_eq!(caller("127.0.0.1", &lines).0, "198.51.100.1");
    }

    #[test]
    fn what_is_no_address_is_counted_and_passed_over() {
        let broken = |headers: &[(&str, &str)]| caller("127.0.0.1", headers);
        assert_eq!(broken(&[("x-forwarded-for", "notanip")]), ("127.0.0.1".to_owned(), 1));
        assert_eq!(broken(&[("x-forwarded-for", "")]), ("127.0.0.1".to_owned(), 1));
        assert_eq!(broken(&[("x-forwarded-for", "198.51.100.1, unknown")]), ("198.51.100.1".to_owned(), 1));
        assert_eq!(broken(&[("x-forwarded-for", "0.0.0.0")]), ("127.0.0.1".to_owned(), 1));
        assert_eq!(broken(&[("x-forwarded-for", "\u{fc}")]), ("127.0.0.1".to_owned(), 1));
        assert_eq!(
            broken(&[("cf-connecting-ip", "; drop"), ("x-forwarded-for", "198.51.100.2")]),
            ("198.51.100.2".to_owned(), 1)
        );
        let twice = [("cf-connecting-ip", "6.6.6.6"), ("cf-connecting-ip", "198.51.100.1")];
        assert_eq!(broken(&twice), ("127.0.0.1".to_owned(), 1));
    }

    proptest! {
        #[test]
        fn any_header_gives_a_caller(value in prop::collection::vec(0x20..=0xff_u8, 0..60)) {
            let mut map = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                map.append(X_FORWARDED_FOR, value);
            }
            let trusted = "loopback".parse().unwrap();
            prop_assert!(resolve(SocketAddr::from(([127, 0, 0, 1], 1)), &map, &trusted).is_some());
        }
    }
}
