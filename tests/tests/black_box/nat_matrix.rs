//! Who gets through to whom by hole punching, by the kinds of their routers.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use black_box::binary::Binary;
use black_box::lab::matrix::{Cell, Matrix};
use black_box::lab::trials::{Trials, Try};
use black_box::lab::{Household, Lab, MASK, MASKED_SERVER, SERVER, SERVER_V6};
use black_box::process::Launch;
use black_box::punching::{ROUNDS_MAX, introduce, introduce_over_losses, punch_apart, punch_in_rounds};
use black_box::router::RouterKind;
use black_box::udp::not_found;
use nat_simulator::Link;
use nat_simulator::expected::{LEGACY_BY_CARRIER, legacy_rounds};

use crate::nat::{Programs, ServerInLab as _};

/// Registers, asks and punches in rounds, as two legacy peers on fresh ports. Gives the rounds until both have heard the
/// other; 0 is never.
fn legacy_rounds_between(households: [&Household; 2], matchmaker: SocketAddr) -> u32 {
    let [first, second] = households.map(|household| household.peer(matchmaker));
    for (peer, household) in [&first, &second].into_iter().zip(households) {
        assert_eq!(peer.register().ip(), household.public);
    }
    let peers = [&first, &second];
    let told = introduce(peers, &households[1].public_text());
    punch_in_rounds(peers, told).map_or(0, |paths| paths.rounds)
}

/// Writes a matrix for people: into the output of the test, and as a picture into the folder of the build.
#[expect(clippy::print_stdout, reason = "this is what the test is run for")]
pub(crate) fn publish(matrix: &Matrix, name: &str) {
    println!("{matrix}");
    let target = std::env::current_exe().expect("the test knows its own file");
    let target = target.ancestors().nth(3).map_or_else(|| Path::new(".").to_owned(), Path::to_owned);
    fs::write(target.join(name), matrix.svg()).expect("the folder of the build is writable");
}

#[test]
fn legacy_peers_get_through_between_the_kinds_of_routers_of_the_shared_table() {
    let Some(lab) = Lab::open() else { return };
    let server = Programs::start(&lab, &[Binary::Matchmaker]);
    let [firsts, seconds] = [(); 2].map(|()| RouterKind::TABLE.map(|kind| lab.household(kind)));
    let mut measured = BTreeMap::new();
    for first in &firsts {
        for second in &seconds {
            for household in [first, second] {
                household.forget();
            }
            let rounds = legacy_rounds_between([first, second], server.matchmaker());
            measured.insert((first.kind, second.kind), rounds);
        }
    }
    let matrix = matrix_of_rounds(|first, second| measured.get(&(first, second)).copied());
    publish(&matrix, "nat-matrix.svg");
    // On a loaded machine a round can be too short, so that it takes one more: whether they get through is the same.
    let through = |rounds: Option<u32>| rounds.is_some_and(|rounds| rounds > 0);
    for (pair @ (first, second), rounds) in measured {
        let expected = legacy_rounds(first, second);
        assert_eq!(
            through(Some(rounds)),
            through(expected),
            "{pair:?}, {expected:?} rounds expected\n{matrix}"
        );
    }
}

/// The table of how many rounds each pair takes; 0 is never.
fn matrix_of_rounds(rounds: impl Fn(RouterKind, RouterKind) -> Option<u32>) -> Matrix {
    let title = format!("Legacy peers: rounds of 50 ms until both have heard each other (of {ROUNDS_MAX})");
    let mut matrix = Matrix::new(title, &RouterKind::TABLE);
    for [first, second] in matrix.pairs() {
        match rounds(first, second).expect("every pair of the table") {
            0 => matrix.set([first, second], Cell { text: "never".to_owned(), share: 0.0 }),
            rounds => matrix.set([first, second], Cell { text: rounds.to_string(), share: 1.0 }),
        }
    }
    matrix
}

/// The tables that laboratory and simulation must both show are those of the documents. `UPDATE_NAT_MATRIX=1` writes the
/// picture anew.
#[test]
fn the_documents_show_the_shared_table() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let matrix = matrix_of_rounds(legacy_rounds);
    if std::env::var_os("UPDATE_NAT_MATRIX").is_some() {
        fs::write(docs.join("nat-matrix.svg"), matrix.svg()).expect("docs are writable");
    }
    let read = |name| fs::read_to_string(docs.join(name)).expect("a document");
    assert_eq!(read("nat-matrix.svg"), matrix.svg(), "run it with UPDATE_NAT_MATRIX=1");
    let table = matrix.to_string();
    assert!(read("NATS.md").contains(table.trim()), "NATS.md lacks\n{table}");
}

#[test]
fn customers_of_carriers_get_through_where_the_harder_of_their_two_routers_does() {
    let Some(lab) = Lab::open() else { return };
    let server = Programs::start(&lab, &[Binary::Matchmaker]);
    let other = lab.household(RouterKind::HomeRouter);
    for (carrier, home, through) in LEGACY_BY_CARRIER {
        let carrier = lab.carrier(carrier);
        let customer = lab.customer(&carrier, home);
        let rounds = legacy_rounds_between([&customer, &other], server.matchmaker());
        assert_eq!(rounds > 0, through, "{home} behind {}", carrier.kind());
    }
}

#[test]
fn peers_behind_ipv6_firewalls_get_through_to_each_other() {
    let Some(lab) = Lab::open() else { return };
    let namespace = lab.server();
    lab.speak_ipv6(&namespace);
    let listen = SocketAddr::from((SERVER_V6, 0)).to_string();
    let server = namespace.run(|| Launch::new(Binary::Matchmaker).set("MATCHMAKER_LISTEN", &listen).start());
    let households = [(); 2].map(|()| lab.household(RouterKind::Firewall));
    let rounds = legacy_rounds_between(households.each_ref(), server.address("matchmaker"));
    assert!(rounds > 0);
}

#[test]
fn legacy_peers_do_not_meet_by_a_server_that_a_container_network_hides_them_from() {
    const PORT: u16 = 12_345;
    let Some(lab) = Lab::open() else { return };
    let masked = lab.masked_server(PORT);
    let listen = SocketAddr::from((MASKED_SERVER, PORT)).to_string();
    let _server =
        masked.namespace.run(|| Launch::new(Binary::Matchmaker).set("MATCHMAKER_LISTEN", &listen).start());
    let households = [(); 2].map(|()| lab.household(RouterKind::HomeRouter));
    let peers = households.each_ref().map(|household| household.peer(SocketAddr::from((SERVER, PORT))));
    for peer in &peers {
        assert_eq!(peer.register().ip(), MASK, "everybody is the container engine");
    }
    peers[0].connect(&households[1].public_text());
    peers[0].expect(&not_found(&households[1].public_text()));
}

/// One try of two legacy peers, the second of which starts later.
fn dial_legacy(attempt: &Try<'_>, matchmaker: SocketAddr) -> Option<Duration> {
    const LIMIT: Duration = Duration::from_secs(5);
    let [first, second] = attempt.households.map(|household| household.peer(matchmaker));
    let peers = [&first, &second];
    let told = introduce_over_losses(peers, &attempt.households[1].public_text());
    punch_apart(peers, told, attempt.skew, LIMIT)
}

#[test]
fn legacy_peers_get_through_on_lines_that_lose_a_tenth_however_late_the_second_one_is() {
    let Some(lab) = Lab::open() else { return };
    let server = Programs::start(&lab, &[Binary::Matchmaker]);
    let trials = Trials {
        kinds: &[RouterKind::FullCone, RouterKind::HomeRouter],
        line: Link { delay: Duration::from_millis(20), jitter: Duration::from_millis(10), loss: 0.1 },
        tries: 4,
        skew_max: Duration::from_millis(300),
        seed: 1,
    };
    let outcomes = trials.run(&lab, |attempt| dial_legacy(attempt, server.matchmaker()));
    let matrix =
        trials.matrix("Legacy peers, 10 % loss, skew to 300 ms: tries that got through, median", &outcomes);
    publish(&matrix, "nat-matrix-lossy.svg");
    for outcome in &outcomes {
        assert_eq!(outcome.through(), outcome.took.len(), "{outcome:?}\n{matrix}");
        let fastest = outcome.took.iter().flatten().min().expect("all got through");
        assert!(*fastest >= 2 * trials.line.delay, "over two lines: {outcome:?}");
    }
}
