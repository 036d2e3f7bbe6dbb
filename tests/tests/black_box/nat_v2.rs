//! Clients of version 2 behind every kind of router, held against what the simulation shows.

mod crowds;
mod dial;
mod places;
mod silence;

use std::time::Duration;

use black_box::lab::Lab;
use black_box::lab::trials::{Expected, Trials, tries};
use black_box::router::RouterKind;
use nat_simulator::Link;
use nat_simulator::expected::v2_reaches;
use peer_client::ConnectError;

use crate::nat_matrix::publish;
use dial::{Asks, Place, Server, dial};

/// From one peer to the other and back it is four of these.
const LINE: Link = Link { delay: Duration::from_millis(20), jitter: Duration::from_millis(2), loss: 0.0 };

fn all_that_can_be_punched(kinds: [RouterKind; 2]) -> Expected {
    if v2_reaches(kinds) { Expected::Through } else { Expected::Never }
}

/// The same where lines lose or the server is far, which open no way where there is none.
fn none_but_these(kinds: [RouterKind; 2]) -> Expected {
    if v2_reaches(kinds) { Expected::Through } else { Expected::Either }
}

#[test]
fn clients_get_through_wherever_that_is_possible() {
    let Some(lab) = Lab::open() else { return };
    let server = Server::start(&lab);
    let trials = Trials {
        kinds: &RouterKind::TABLE,
        line: LINE,
        tries: tries(),
        skew_max: Duration::ZERO,
        seed: 1,
        expected: all_that_can_be_punched,
    };
    let outcomes = trials.run(&lab, |attempt| {
        let result = dial(attempt.households.map(Place::first_of), server.ipv4, Asks::First);
        if attempt.households.map(|household| household.kind) == [RouterKind::Hard; 2] {
            assert_eq!(result.as_ref().err(), Some(&ConnectError::BothHard));
        }
        result.ok().map(|reached| reached.took)
    });
    let mut matrix = trials.matrix("Clients of version 2", &outcomes);
    let wrong = places::try_all(&lab, &server, &mut matrix);
    publish(&matrix, "nat-matrix-v2.svg");
    trials.assert_as_expected(&outcomes, &matrix);
    assert!(wrong.is_empty(), "{wrong:#?}\n{matrix}");
}

#[test]
fn clients_get_through_on_lines_that_lose_a_tenth() {
    let Some(lab) = Lab::open() else { return };
    let server = Server::start(&lab);
    let trials = Trials {
        kinds: &RouterKind::TABLE,
        line: Link { jitter: Duration::from_millis(10), loss: 0.1, ..LINE },
        tries: tries(),
        skew_max: Duration::ZERO,
        seed: 2,
        expected: none_but_these,
    };
    let outcomes = trials.run(&lab, |attempt| {
        let result = dial(attempt.households.map(Place::first_of), server.ipv4, Asks::First);
        result.ok().map(|reached| reached.took)
    });
    let matrix = trials.matrix("Clients of version 2 on lines that lose a tenth", &outcomes);
    publish(&matrix, "nat-matrix-v2-lossy.svg");
    trials.assert_as_expected(&outcomes, &matrix);
}

/// The server is so far from the second one in half of the tries, each way, and in the others that one asks so much later.
#[test]
fn clients_get_through_however_late_the_second_one_is() {
    let Some(lab) = Lab::open() else { return };
    let server = Server::start(&lab);
    let trials = Trials {
        kinds: &RouterKind::TABLE,
        line: LINE,
        tries: tries(),
        skew_max: Duration::from_millis(300),
        seed: 3,
        expected: none_but_these,
    };
    let outcomes = trials.run(&lab, |attempt| {
        let is_far = attempt.number % 2 == 0;
        attempt.households[1].keep_server_away(if is_far { attempt.skew } else { Duration::ZERO });
        let asks = if is_far { Asks::First } else { Asks::Both { later: attempt.skew } };
        let result = dial(attempt.households.map(Place::first_of), server.ipv4, asks);
        result.ok().map(|reached| reached.took)
    });
    let matrix = trials.matrix("Clients of version 2, the second up to 300 ms late", &outcomes);
    publish(&matrix, "nat-matrix-v2-late.svg");
    trials.assert_as_expected(&outcomes, &matrix);
}
