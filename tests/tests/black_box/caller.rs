//! Whose address is it? By trusted proxies, and by nobody else.

use std::sync::atomic::{AtomicU32, Ordering};

use black_box::binary::Binary;
use black_box::http::Request;
use black_box::lab::Lab;
use black_box::process::Launch;
use black_box::router::RouterKind;
use black_box::tracker::Tracker;
use serde_json::json;

/// A tracker that trusts these.
fn trusting(proxies: &str) -> Tracker {
    Tracker::embedded(&Launch::new(Binary::Tracker).set("TRUSTED_PROXIES", proxies))
}

/// The address that the tracker takes from these header lines, of a caller on 127.0.0.1.
#[track_caller]
fn caller(tracker: &Tracker, headers: &[(&str, &str)]) -> String {
    caller_from(tracker, "127.0.0.1", headers)
}

#[track_caller]
fn caller_from(tracker: &Tracker, source: &str, headers: &[(&str, &str)]) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("who/{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut request = Request::post(format!("/add?filename={name}&hash=abc"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    tracker.send_from(source.parse().unwrap(), &request).assert_is(200, &json!({"status": "ok"}));
    let mut peers = tracker.peers(&name);
    assert_eq!(peers.len(), 1, "one caller is one peer: {peers:?}");
    peers.remove(0)
}

#[test]
fn without_a_header_the_socket_counts() {
    let tracker = Tracker::plain();
    assert_eq!(caller(&tracker, &[]), "127.0.0.1");
    assert_eq!(caller_from(&tracker, "127.8.9.10", &[]), "127.8.9.10");
}

#[test]
fn cf_connecting_ip_comes_before_x_forwarded_for_and_that_before_the_socket() {
    let tracker = Tracker::plain();
    let (cloudflare, forwarded) = (("CF-Connecting-IP", "198.51.100.1"), ("X-Forwarded-For", "203.0.113.5"));
    assert_eq!(caller(&tracker, &[cloudflare, forwarded]), "198.51.100.1");
    assert_eq!(caller(&tracker, &[forwarded, cloudflare]), "198.51.100.1");
    assert_eq!(caller(&tracker, &[cloudflare]), "198.51.100.1");
    assert_eq!(caller(&tracker, &[forwarded]), "203.0.113.5");
}

#[test]
fn header_names_are_known_in_any_case() {
    let tracker = Tracker::plain();
    for name in
        ["cf-connecting-ip", "CF-CONNECTING-IP", "Cf-Connecting-Ip", "x-forwarded-for", "X-FORWARDED-FOR"]
    {
        assert_eq!(caller(&tracker, &[(name, "203.0.113.5")]), "203.0.113.5");
    }
}

#[test]
fn other_headers_say_nothing() {
    let tracker = Tracker::plain();
    for name in
        ["X-Real-IP", "Forwarded", "True-Client-IP", "X-Client-IP", "X-Forwarded-Host", "X_Forwarded_For"]
    {
        assert_eq!(caller(&tracker, &[(name, "203.0.113.5")]), "127.0.0.1");
    }
}

#[test]
fn x_forwarded_for_is_walked_from_the_right_past_trusted_hops() {
    let tracker = Tracker::plain();
    for (value, expected) in [
        ("203.0.113.5, 10.0.0.1", "203.0.113.5"),
        ("203.0.113.5,10.0.0.1,192.168.1.1,172.16.9.9,127.0.0.3", "203.0.113.5"),
        ("198.51.100.66, 203.0.113.5", "203.0.113.5"),
        ("198.51.100.66, 203.0.113.5, 10.0.0.1", "203.0.113.5"),
        ("10.9.9.9, 203.0.113.5, 10.0.0.1", "203.0.113.5"),
        ("  203.0.113.5 ,\t10.0.0.1  ", "203.0.113.5"),
        ("2001:db8::5, fd00::1, ::1", "2001:db8::5"),
        ("10.0.0.7, 10.0.0.1", "10.0.0.7"),
    ] {
        assert_eq!(caller(&tracker, &[("X-Forwarded-For", value)]), expected, "{value}");
    }
}

#[test]
fn several_header_lines_are_one_list() {
    let tracker = Tracker::plain();
    let lines = |values: &[&str]| {
        let headers: Vec<(&str, &str)> = values.iter().map(|value| ("X-Forwarded-For", *value)).collect();
        caller(&tracker, &headers)
    };
    assert_eq!(lines(&["203.0.113.5", "10.0.0.1"]), "203.0.113.5");
    assert_eq!(lines(&["198.51.100.66", "203.0.113.5"]), "203.0.113.5");
    assert_eq!(lines(&["198.51.100.66, 203.0.113.5", "10.0.0.1, 10.0.0.2", "127.0.0.1"]), "203.0.113.5");
}

#[test]
fn a_value_that_is_no_address_is_never_stored() {
    let tracker = Tracker::plain();
    let too_long = "9".repeat(4_000);
    for value in
        ["", "garbage", "unknown", "999.1.1.1", "_hidden", "0.0.0.0", "224.0.0.1", "<script>", &too_long]
    {
        assert_eq!(caller(&tracker, &[("X-Forwarded-For", value)]), "127.0.0.1", "{value}");
        assert_eq!(caller(&tracker, &[("CF-Connecting-IP", value)]), "127.0.0.1", "{value}");
    }
    for value in [", ,,", "a, b, c", "10.0.0.1,", ",10.0.0.1"] {
        let found = caller(&tracker, &[("X-Forwarded-For", value)]);
        assert!(found.parse::<std::net::IpAddr>().is_ok(), "{value} became {found}");
    }
}

#[test]
fn a_value_that_is_no_address_is_counted() {
    let tracker = Tracker::plain();
    let counted = || tracker.admin().sum("tracker_broken_proxy_headers_total", &[]);
    assert!(counted() < 0.5);
    caller(&tracker, &[("X-Forwarded-For", "garbage")]);
    caller(&tracker, &[("CF-Connecting-IP", "garbage")]);
    assert!((counted() - 2.0).abs() < 0.5, "{} instead of 2", counted());
    caller(&tracker, &[("X-Forwarded-For", "203.0.113.5")]);
    assert!((counted() - 2.0).abs() < 0.5, "{} instead of 2", counted());
}

#[test]
fn an_address_with_its_port_is_an_address() {
    let tracker = Tracker::plain();
    for (value, expected) in [
        ("203.0.113.5:4711", "203.0.113.5"),
        ("[2001:db8::5]:4711", "2001:db8::5"),
        ("[2001:db8::5]", "2001:db8::5"),
    ] {
        assert_eq!(caller(&tracker, &[("X-Forwarded-For", value)]), expected);
    }
}

#[test]
fn a_broken_cf_connecting_ip_does_not_hide_x_forwarded_for() {
    let tracker = Tracker::plain();
    let headers = [("CF-Connecting-IP", "garbage"), ("X-Forwarded-For", "203.0.113.5")];
    assert_eq!(caller(&tracker, &headers), "203.0.113.5");
}

#[test]
fn broken_bytes_in_a_header_do_no_harm() {
    let mut tracker = Tracker::plain();
    for name in ["X-Forwarded-For", "CF-Connecting-IP"] {
        let request = Request::post("/add?filename=who&hash=abc").header(name, b"\xff\xfe\x80");
        let answer = tracker.send(&request);
        assert!([200, 400].contains(&answer.status), "{}", answer.text());
        answer.json();
    }
    assert!(tracker.peers("who").iter().all(|peer| peer == "127.0.0.1"));
    tracker.process.assert_sound();
}

#[test]
fn addresses_are_stored_in_their_canonical_form() {
    let tracker = Tracker::plain();
    for (value, expected) in [
        ("2001:DB8:0:0::0005", "2001:db8::5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("::FFFF:CB00:7105", "203.0.113.5"),
    ] {
        assert_eq!(caller(&tracker, &[("X-Forwarded-For", value)]), expected);
        assert_eq!(caller(&tracker, &[("CF-Connecting-IP", value)]), expected);
    }
    let mapped_hop = [("X-Forwarded-For", "203.0.113.5, ::ffff:10.0.0.1")];
    assert_eq!(caller(&tracker, &mapped_hop), "203.0.113.5");
}

#[test]
fn a_caller_by_ipv6_is_known_by_its_ipv6_address() {
    let launch = Launch::new(Binary::Tracker).set("TRACKER_LISTEN", "[::1]:0");
    let tracker = Tracker::embedded(&launch);
    assert_eq!(caller_from(&tracker, "::1", &[]), "::1");
    assert_eq!(caller_from(&tracker, "::1", &[("X-Forwarded-For", "203.0.113.5")]), "203.0.113.5");
}

#[test]
fn a_caller_by_ipv4_on_the_ipv6_listener_is_an_ipv4_peer() {
    let launch = Launch::new(Binary::Tracker).set("TRACKER_LISTEN", "0.0.0.0:0,[::]:0");
    let tracker = Tracker::embedded(&launch);
    assert_eq!(tracker.process.addresses("tracker").len(), 2);
    assert_eq!(caller(&tracker, &[]), "127.0.0.1");
}

#[test]
fn a_header_of_an_untrusted_caller_is_not_believed() {
    let forged = [("CF-Connecting-IP", "198.51.100.1"), ("X-Forwarded-For", "203.0.113.5")];
    for proxies in ["private", "cloudflare", "10.0.0.0/8", "127.0.0.2/32", "::1/128", "none"] {
        assert_eq!(caller(&trusting(proxies), &forged), "127.0.0.1", "TRUSTED_PROXIES={proxies}");
    }
}

#[test]
fn trusted_proxies_are_ranges_words_and_both() {
    for (proxies, trusted, untrusted) in [
        ("127.0.0.2/32", "127.0.0.2", "127.0.0.3"),
        ("127.1.0.0/16, 127.2.0.0/16", "127.2.255.1", "127.3.0.1"),
        ("private,127.7.0.0/24", "127.7.0.9", "127.7.1.9"),
    ] {
        let tracker = trusting(proxies);
        let header = [("X-Forwarded-For", "203.0.113.5")];
        assert_eq!(caller_from(&tracker, trusted, &header), "203.0.113.5", "TRUSTED_PROXIES={proxies}");
        assert_eq!(caller_from(&tracker, untrusted, &header), untrusted, "TRUSTED_PROXIES={proxies}");
    }
}

#[test]
fn the_addresses_of_cloudflare_are_hops_by_its_word() {
    let chain = [("X-Forwarded-For", "203.0.113.5, 104.16.0.9, 2606:4700::9")];
    assert_eq!(caller(&trusting("loopback,cloudflare"), &chain), "203.0.113.5");
    assert_eq!(caller(&trusting("loopback"), &chain), "2606:4700::9");
}

#[test]
fn a_peer_on_the_internet_cannot_speak_for_another_by_a_header() {
    let Some(lab) = Lab::open() else { return };
    let server = lab.server();
    let launch = Launch::new(Binary::Tracker).set("TRACKER_LISTEN", "203.0.113.1:0");
    let process = server.run(|| launch.start());
    let tracker = process.address("tracker");
    let household = lab.household(RouterKind::HomeRouter);
    for (number, header) in ["X-Forwarded-For", "CF-Connecting-IP"].into_iter().enumerate() {
        let request =
            Request::post(format!("/add?filename=f{number}&hash=abc")).header(header, "198.51.100.1");
        household.send(tracker, &request).assert_is(200, &json!({"status": "ok"}));
        let found = household.send(tracker, &Request::get(format!("/peers?filename=f{number}")));
        let expected = json!({"filename": format!("f{number}"), "peers": [household.public_text()]});
        found.assert_is(200, &expected);
    }
}
