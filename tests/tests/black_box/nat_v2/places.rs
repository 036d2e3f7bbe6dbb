//! Places that two clients may be at, other than each behind a router of its own.

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use black_box::lab::matrix::{Cell, Matrix};
use black_box::lab::trials::tries;
use black_box::lab::{Carrier, Household, Lab};
use black_box::router::RouterKind;
use nat_simulator::expected::{BY_CARRIER, v2_reaches};
use peer_client::{ConnectError, Via};

use super::LINE;
use super::dial::{Asks, Place, Reached, Server, dial};

/// Cases that are tried at a time.
const AT_ONCE: usize = 6;

const HOME: RouterKind = RouterKind::HomeRouter;

/// What is to come of two clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// They meet at their local addresses.
    Inside,
    /// They meet by their routers.
    Outside,
    Never,
}

impl Expected {
    fn outside(through: bool) -> Self {
        if through { Self::Outside } else { Self::Never }
    }
}

/// Two places, and all that is between them. No two cases share a router.
struct Case {
    name: String,
    households: Vec<Household>,
    /// Two of `households`, by number, and a host of each.
    places: [(usize, usize); 2],
    carrier: Option<Carrier>,
    server: SocketAddr,
    expected: Expected,
}

impl Case {
    fn of_two(households: [Household; 2], server: SocketAddr, expected: Expected) -> Self {
        let [first, second] = households.each_ref().map(|household| household.kind);
        Self {
            name: format!("{first}, {second}"),
            households: households.into(),
            places: [(0, 0), (1, 0)],
            carrier: None,
            server,
            expected,
        }
    }

    /// Two hosts of one household.
    fn of_neighbours(household: Household, server: SocketAddr) -> Self {
        Self {
            name: format!("both behind one {}", household.kind),
            households: vec![household],
            places: [(0, 0), (0, 1)],
            carrier: None,
            server,
            expected: Expected::Inside,
        }
    }

    fn run(&self) -> Tried {
        let mut tried = Tried { took: Vec::new(), wrong: Vec::new() };
        let count = if self.expected == Expected::Never { 1 } else { tries() };
        let [first, second] =
            self.places.map(|(number, host)| Place { household: &self.households[number], host });
        for _ in 0..count {
            for places in [[first, second], [second, first]] {
                self.households.iter().for_each(Household::forget);
                self.carrier.iter().for_each(Carrier::forget);
                let result = dial(places, self.server, Asks::First);
                if !self.is_as_expected(&result, places[1]) {
                    tried.wrong.push(format!("{}: {result:?} and not {:?}", self.name, self.expected));
                }
                tried.took.push(result.ok().map(|reached| reached.took));
            }
        }
        tried
    }

    fn is_as_expected(&self, result: &Result<Reached, ConnectError>, target: Place<'_>) -> bool {
        let local = target.household.address_of(target.host);
        match (result, self.expected) {
            (Ok(reached), Expected::Inside) => reached.via == Via::Lan && reached.peer.ip() == local,
            (Ok(reached), Expected::Outside) => reached.via != Via::Lan,
            (Err(ConnectError::NoPath { .. } | ConnectError::BothHard), Expected::Never) => true,
            _ => false,
        }
    }
}

/// What came of the tries of a case.
struct Tried {
    took: Vec<Option<Duration>>,
    /// Those that did otherwise than expected.
    wrong: Vec<String>,
}

/// Tries every case, each of the two asking in turn, and adds what it shows to the table. Gives what was not as expected.
pub(super) fn try_all(lab: &Lab, server: &Server, matrix: &mut Matrix) -> Vec<String> {
    let mut wrong = Vec::new();
    for chunk in cases(lab, server).chunks(AT_ONCE) {
        thread::scope(|scope| {
            let threads: Vec<_> = chunk.iter().map(|case| scope.spawn(|| case.run())).collect();
            for (case, thread) in chunk.iter().zip(threads) {
                let tried = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
                matrix.add_place(&case.name, Cell::of_tries(&tried.took));
                wrong.extend(tried.wrong);
            }
        });
    }
    wrong
}

fn cases(lab: &Lab, server: &Server) -> Vec<Case> {
    let mut seeds = 100..;
    let mut seed = move || seeds.next().expect("there is no end of them");
    let ipv4 = server.ipv4;
    let mut cases = Vec::new();
    for kind in RouterKind::TABLE.into_iter().chain([RouterKind::Hairpin]) {
        let household = lab.household_on(kind, LINE, seed()).with_another_host();
        cases.push(Case::of_neighbours(household, ipv4));
    }
    let kinds = [RouterKind::Hairpin, HOME];
    let households = kinds.map(|kind| lab.household_on(kind, LINE, seed()));
    cases.push(Case::of_two(households, ipv4, Expected::outside(v2_reaches(kinds))));
    let kinds = [RouterKind::Firewall; 2];
    let households = kinds.map(|kind| lab.household_on(kind, LINE, seed()));
    let case = Case::of_two(households, server.ipv6, Expected::outside(v2_reaches(kinds)));
    cases.push(Case { name: "firewall, firewall (IPv6)".to_owned(), ..case });
    for (kind, home, through) in BY_CARRIER {
        let carrier = lab.carrier_on(kind, LINE, seed());
        let households = [lab.customer(&carrier, home), lab.household_on(HOME, LINE, seed())];
        let case = Case::of_two(households, ipv4, Expected::outside(through));
        let name = format!("{home} behind a carrier's {kind}, {HOME}");
        cases.push(Case { name, carrier: Some(carrier), ..case });
    }
    // Only a carrier that hairpins lets its customers meet by what the server sees of them.
    for (kind, through) in [(RouterKind::Hairpin, true), (HOME, false)] {
        let carrier = lab.carrier_on(kind, LINE, seed());
        let households = [(); 2].map(|()| lab.customer(&carrier, HOME));
        let case = Case::of_two(households, ipv4, Expected::outside(through));
        let name = format!("{HOME}, {HOME}, both behind one carrier's {kind}");
        cases.push(Case { name, carrier: Some(carrier), ..case });
    }
    cases
}
