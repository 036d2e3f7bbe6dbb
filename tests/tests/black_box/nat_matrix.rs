//! Who gets through to whom by hole punching, by the kinds of their routers.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use black_box::binary::Binary;
use black_box::lab::matrix::{Cell, Matrix};
use black_box::lab::trials::{Expected, Trials, Try, tries};
use black_box::lab::{Household, Lab, MASK, MASKED_SERVER, SERVER, SERVER_V6};
use black_box::process::Launch;
use black_box::punching::{ROUNDS_MAX, introduce, introduce_over_losses, punch_apart, punch_in_rounds};
use black_box::router::RouterKind;
use black_box::udp::not_found;
use nat_simulator::Link;
use nat_simulator::expected::{BY_CARRIER, legacy_rounds, v2_reaches};

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
    let pairs = || firsts.iter().flat_map(|first| seconds.iter().map(move |second| [first, second]));
    // Pair by pair and then once more: the server bounds how often one asks for the same in a second.
    for number in 0..tries() {
        for households in pairs() {
            let kinds @ [first, second] = households.map(|household| household.kind);
            if number > 0 && !gets_through(kinds) {
                continue;
            }
            for household in households {
                household.forget();
            }
            let rounds = legacy_rounds_between(households, server.matchmaker());
            // On a loaded machine a round can be too short, so that it takes one more: whether they get through is the same.
            assert_eq!(rounds > 0, gets_through(kinds), "{first} to {second}, try {number}");
            let usual = measured.entry((first, second)).or_insert(rounds);
            *usual = rounds.min(*usual);
        }
    }
    let matrix = matrix_of_rounds(|first, second| measured.get(&(first, second)).copied());
    publish(&matrix, "nat-matrix.svg");
}

/// The table of how many rounds each pair takes; 0 is never.
fn matrix_of_rounds(rounds: impl Fn(RouterKind, RouterKind) -> Option<u32>) -> Matrix {
    let title = format!("Legacy peers: rounds of 50 ms until both have heard each other (of {ROUNDS_MAX})");
    let mut matrix = Matrix::new(title, &RouterKind::TABLE);
    for [first, second] in matrix.pairs() {
        match rounds(first, second).expect("every pair of the table") {
            0 => matrix.set([first, second], Cell::of_text("never", 0.0)),
            rounds => matrix.set([first, second], Cell::of_text(rounds.to_string(), 1.0)),
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

/// What was measured of version 2 is in the documents as text and as a picture, and is what the simulation shows.
#[test]
fn the_documents_show_a_full_run_of_version_2_that_agrees_with_the_simulation() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let read = |name| fs::read_to_string(docs.join(name)).expect("a document");
    let (text, picture) = (read("NATS.md"), read("nat-matrix-v2.svg"));
    let (_, table) = text.split_once("\nClients of version 2: ").expect("the measured table");
    let mut rows = table.lines().skip_while(|line| !line.starts_with("|---"));
    for first in RouterKind::TABLE {
        let row = rows.find(|line| line.starts_with(&format!("| {first} "))).expect("a row of each kind");
        for (second, cell) in RouterKind::TABLE.into_iter().zip(row.split('|').skip(2)) {
            let (through, times) = cell.trim().split_once(", ").unwrap_or((cell.trim(), "never"));
            assert_eq!(
                through,
                if v2_reaches([first, second]) { "20/20" } else { "never" },
                "{first} to {second}"
            );
            assert!(picture.contains(&format!(">{times}</text>")), "{first} to {second}: {times}");
        }
    }
}

#[test]
fn customers_of_carriers_get_through_where_the_harder_of_their_two_routers_does() {
    let Some(lab) = Lab::open() else { return };
    let server = Programs::start(&lab, &[Binary::Matchmaker]);
    let other = lab.household(RouterKind::HomeRouter);
    for (carrier, home, through) in BY_CARRIER {
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

fn gets_through([first, second]: [RouterKind; 2]) -> bool {
    legacy_rounds(first, second).is_some_and(|rounds| rounds > 0)
}

/// Runs trials of legacy peers, and publishes what they show.
fn try_legacy(trials: &Trials<'_>, title: &str, name: &str) {
    let Some(lab) = Lab::open() else { return };
    let server = Programs::start(&lab, &[Binary::Matchmaker]);
    let outcomes = trials.run(&lab, |attempt| dial_legacy(attempt, server.matchmaker()));
    let matrix = trials.matrix(title, &outcomes);
    publish(&matrix, name);
    trials.assert_as_expected(&outcomes, &matrix);
    for outcome in &outcomes {
        let fastest = outcome.took.iter().flatten().min();
        assert!(
            fastest.is_none_or(|fastest| *fastest >= 2 * trials.line.delay),
            "over two lines: {outcome:?}"
        );
    }
}

/// The others of the table get through where their first punches happen to cross.
#[test]
fn legacy_peers_of_the_table_get_through_however_late_the_second_one_is() {
    let trials = Trials {
        kinds: &RouterKind::TABLE,
        line: Link::delayed(Duration::from_millis(20)),
        tries: tries(),
        skew_max: Duration::from_millis(300),
        seed: 1,
        expected: |kinds| if gets_through(kinds) { Expected::Through } else { Expected::Either },
    };
    try_legacy(&trials, "Legacy peers, the second up to 300 ms late", "nat-matrix-late.svg");
}

/// Before a bare masquerade everything hangs on the first punch, which may be lost.
#[test]
fn legacy_peers_whom_no_stray_hinders_get_through_on_lines_that_lose_a_tenth_however_late_the_second_one_is()
{
    let expected = |kinds: [RouterKind; 2]| {
        let is_unhindered = !kinds.contains(&RouterKind::BareMasquerade) && gets_through(kinds);
        if is_unhindered { Expected::Through } else { Expected::Either }
    };
    let trials = Trials {
        kinds: &RouterKind::TABLE,
        line: Link { delay: Duration::from_millis(20), jitter: Duration::from_millis(10), loss: 0.1 },
        tries: tries(),
        skew_max: Duration::from_millis(300),
        seed: 1,
        expected,
    };
    try_legacy(&trials, "Legacy peers, a tenth lost, the second up to 300 ms late", "nat-matrix-lossy.svg");
}
