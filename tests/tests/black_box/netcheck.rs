//! `peerctl netcheck` behind every kind of router says what that router does.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::thread;
use std::time::Duration;

use black_box::binary::Binary;
use black_box::deadline::PATIENCE;
use black_box::lab::{Household, Lab, SERVER, SERVER_V6};
use black_box::namespace::Namespace;
use black_box::process::{Launch, Process};
use black_box::router::{self, RouterKind};
use nat_simulator::{Filtering, Mapping};
use serde_json::{Value, json};

use crate::peerctl_docs::{page, without_chance};

/// The server's second addresses, for the tests of RFC 5780.
const OTHER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
/// Where the router of a lab's first household has its IPv4 address.
const FIRST_HOUSEHOLD: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const OTHER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
/// A router of the time of short memories forgets after as much, in seconds, between two silences that are tried.
const SHORT_TIMEOUT_SECS: &str = "20";
/// The longest that a look at the lifetime takes: it tries silences of up to 115 seconds.
const LIFETIME_MAX: Duration = Duration::from_secs(150);

/// A laboratory with a server that has all that netcheck asks for.
struct Scene {
    // Before the lab, which they live in.
    process: Process,
    server: Namespace,
    lab: Lab,
}

impl Scene {
    fn open() -> Option<Self> {
        let lab = Lab::open()?;
        let server = lab.server();
        lab.speak_ipv6(&server);
        server.ip(&format!("addr add {OTHER}/24 dev wan"));
        server.add_v6_address(OTHER_V6, "wan");
        let launch = Launch::new(Binary::Matchmaker)
            .set("MATCHMAKER_LISTEN", "0.0.0.0:12345,[::]:12345")
            .set("MATCHMAKER_ALT_PORT", "12346")
            .set("MATCHMAKER_STUN_OTHER", &format!("{SERVER}/{OTHER},{SERVER_V6}/{OTHER_V6}"));
        let mut process = server.run(|| launch.start());
        process.wait_for_listeners("matchmaker-alt", 2);
        Some(Self { process, server, lab })
    }

    /// The server as a household of this kind reaches it.
    fn matchmaker(kind: RouterKind) -> String {
        if kind == RouterKind::Firewall { SERVER_V6.to_string() } else { SERVER.to_string() }
    }
}

fn netcheck(household: &Household, matchmaker: &str, switches: &[&str], limit: Duration) -> String {
    let launch =
        Launch::new(Binary::Peerctl).argument("netcheck").argument("--matchmaker").argument(matchmaker);
    let launch = switches.iter().fold(launch, |launch, switch| launch.argument(switch));
    let mut process = household.spawn(&launch);
    let status = process.wait(limit);
    assert!(status.success(), "{:?}: {}", household.kind, process.said());
    process.stdout()
}

/// The one family of a report, and the name of the one that was not reached.
fn family<'a>(report: &'a Value, name: &str) -> &'a Value {
    let other = if name == "ipv4" { "ipv6" } else { "ipv4" };
    assert_eq!(report[other], Value::Null, "{report}");
    &report[name]
}

/// What a report says of the answers of a router.
fn expected(kind: RouterKind) -> (&'static str, &'static str, &'static str) {
    let behaviour = kind.behaviour();
    let mapping = match behaviour.mapping {
        Mapping::None | Mapping::EndpointIndependent | Mapping::PortPreserving => "easy",
        Mapping::AddressAndPortDependent => "hard",
    };
    let filtering = match behaviour.filtering {
        Filtering::EndpointIndependent => "endpoint-independent",
        Filtering::AddressDependent => "address-dependent",
        Filtering::AddressAndPortDependent => "address-and-port-dependent",
    };
    // An address that is not translated is the host's own.
    let hairpin = if behaviour.hairpin || behaviour.mapping == Mapping::None { "yes" } else { "no" };
    (mapping, filtering, hairpin)
}

#[track_caller]
fn assert_report(household: &Household, report: &Value, name: &str, kind: RouterKind) {
    let found = family(report, name);
    let (mapping, filtering, hairpin) = expected(kind);
    assert_eq!(
        (&found["mapping"], &found["filtering"], &found["hairpin"], &found["lifetime"]),
        (&json!(mapping), &json!(filtering), &json!(hairpin), &Value::Null),
        "{kind}: {report}"
    );
    let address =
        |field: &str| -> SocketAddr { found[field].as_str().and_then(|text| text.parse().ok()).unwrap() };
    assert_eq!(address("public").ip(), household.public, "{kind}");
    assert_eq!(address("local").ip(), household.address_of(0), "{kind}");
    assert_eq!(found["translated"], household.public != household.address_of(0), "{kind}");
    assert_eq!(address("alternate") == address("public"), mapping == "easy", "{kind}: {report}");
}

const KINDS: [RouterKind; 8] = [
    RouterKind::FullCone,
    RouterKind::AddressRestricted,
    RouterKind::PortRestricted,
    RouterKind::BareMasquerade,
    RouterKind::HomeRouter,
    RouterKind::Hard,
    RouterKind::Hairpin,
    RouterKind::Firewall,
];

#[test]
fn the_report_names_mapping_filtering_and_hairpin_behind_every_kind_of_router() {
    let Some(mut scene) = Scene::open() else { return };
    for kind in KINDS {
        let household = scene.lab.household(kind);
        let report = netcheck(&household, &Scene::matchmaker(kind), &["--json"], PATIENCE);
        let name = if kind == RouterKind::Firewall { "ipv6" } else { "ipv4" };
        assert_report(&household, &serde_json::from_str(&report).expect("JSON"), name, kind);
    }
    scene.process.assert_sound();
}

#[test]
fn the_report_for_people_says_the_same() {
    let Some(scene) = Scene::open() else { return };
    for (kind, lines) in [
        (RouterKind::FullCone, ["mapping     easy: one", "filtering   none: whoever", "hairpin     no"]),
        (
            RouterKind::AddressRestricted,
            ["mapping     easy: one", "filtering   by address: who", "hairpin     no"],
        ),
        (
            RouterKind::Hard,
            ["mapping     hard: another", "filtering   by address and port: only", "hairpin     no"],
        ),
        (RouterKind::Hairpin, ["mapping     easy: one", "filtering   none: whoever", "hairpin     yes"]),
        (
            RouterKind::Firewall,
            ["mapping     easy: one", "filtering   by address and port: only", "hairpin     yes"],
        ),
    ] {
        let household = scene.lab.household(kind);
        let report = netcheck(&household, &Scene::matchmaker(kind), &[], PATIENCE);
        let translated = if kind == RouterKind::Firewall { "not translated" } else { "translated" };
        let public = match household.public {
            IpAddr::V4(ip) => format!("public      {ip}:"),
            IpAddr::V6(ip) => format!("public      [{ip}]:"),
        };
        let [reached, missing] =
            if kind == RouterKind::Firewall { ["IPv6", "IPv4"] } else { ["IPv4", "IPv6"] };
        assert!(report.contains(&format!("{reached}\n  matchmaker")), "{report}");
        assert!(report.contains(&format!("{missing}\n  not reached")), "{report}");
        for line in lines.into_iter().chain([public.as_str(), translated]) {
            assert!(report.contains(line), "{kind}: no {line:?} in\n{report}");
        }
    }
}

#[test]
fn a_customer_of_a_carrier_is_as_hard_to_reach_as_the_harder_of_both_routers() {
    let Some(scene) = Scene::open() else { return };
    for (outer, inner, behaves_as) in [
        (RouterKind::FullCone, RouterKind::HomeRouter, RouterKind::HomeRouter),
        (RouterKind::HomeRouter, RouterKind::FullCone, RouterKind::HomeRouter),
        (RouterKind::Hard, RouterKind::HomeRouter, RouterKind::Hard),
        (RouterKind::HomeRouter, RouterKind::Hard, RouterKind::Hard),
    ] {
        let carrier = scene.lab.carrier(outer);
        let household = scene.lab.customer(&carrier, inner);
        let report = netcheck(&household, &SERVER.to_string(), &["--json"], PATIENCE);
        assert_report(&household, &serde_json::from_str(&report).expect("JSON"), "ipv4", behaves_as);
    }
}

#[test]
fn a_host_of_both_families_sees_what_each_is_like() {
    let Some(scene) = Scene::open() else { return };
    // Behind a firewall by IPv6, and by the same router behind a hard NAT by IPv4.
    let household = scene.lab.household(RouterKind::Firewall);
    let [host, router] =
        [0, 1].map(|number| household.namespaces().nth(number).expect("a host and a router"));
    router.ip("addr add 10.200.0.1/24 dev lan");
    router.kernel_setting("net/ipv4/ip_forward", "1").expect("a router may forward");
    router.filter(&router::rules(RouterKind::Hard, FIRST_HOUSEHOLD.into()));
    host.ip("addr add 10.200.0.2/24 dev lan");
    host.ip("route add default via 10.200.0.1");
    // One name for both addresses, which only this process has.
    let names = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(names.path(), format!("{SERVER} both.test\n{SERVER_V6} both.test\n")).expect("a file");
    let script = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
    let check = |switches: &[&str]| {
        let command = || {
            Command::new("unshare")
                .args(["--mount", "sh", "-c", script, "sh"])
                .arg(names.path())
                .arg(Binary::Peerctl.path())
                .args(["netcheck", "--matchmaker", "both.test"])
                .args(switches)
                .output()
        };
        household.run(0, command).expect("unshare of util-linux")
    };
    let output = check(&["--json"]);
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (name, mapping, translated) in [("ipv4", "hard", true), ("ipv6", "easy", false)] {
        let found = &report[name];
        assert_eq!(
            (&found["mapping"], &found["translated"]),
            (&json!(mapping), &json!(translated)),
            "{report}"
        );
        assert_eq!(found["filtering"], "address-and-port-dependent", "{report}");
    }
    assert!(report["ipv4"]["public"].as_str().is_some_and(|at| at.starts_with("203.0.113.10:")), "{report}");
    // And one of them alone is a report, with a word about the other.
    scene.server.ip(&format!("addr del {SERVER}/24 dev wan"));
    let output = check(&[]);
    assert!(output.status.success(), "{output:?}");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.starts_with("IPv4\n  not reached\nIPv6\n  matchmaker"), "{report}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("warning: "), "{output:?}");
}

#[test]
fn the_lifetime_of_a_mapping_is_told_from_what_survives_to_what_does_not() {
    let Some(scene) = Scene::open() else { return };
    let [short, usual] = [(); 2].map(|()| scene.lab.household(RouterKind::HomeRouter));
    let router = short.namespaces().last().expect("a router");
    for setting in ["nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"] {
        router
            .kernel_setting(&format!("net/netfilter/{setting}"), SHORT_TIMEOUT_SECS)
            .expect("root may say how long a router remembers");
    }
    // Both at once, since it takes its time. The other router has the defaults of Linux.
    let (report, text) = thread::scope(|scope| {
        let text = scope.spawn(|| netcheck(&usual, &SERVER.to_string(), &["--lifetime"], LIFETIME_MAX));
        let report = netcheck(&short, &SERVER.to_string(), &["--lifetime", "--json"], LIFETIME_MAX);
        (report, text.join().expect("a report"))
    });
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let lifetime = json!({"survived_secs": 15, "lost_secs": 25});
    assert_eq!(family(&report, "ipv4")["lifetime"], lifetime, "{report}");
    assert!(text.contains("\n  lifetime    25 to 35 s\n"), "{text}");
    // It is what the page shows.
    let page = fs::read_to_string(page()).expect("the page");
    assert!(without_chance(&page).contains(&without_chance(&text)), "not in docs/PEERCTL.md:\n{text}");
}
