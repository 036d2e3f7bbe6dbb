//! Who gets through to whom, which laboratory and simulation must both show.

use crate::{Filtering, Mapping, RouterKind};

/// Rounds of punching until both peers have heard each other, by the kinds of their routers in the order of
/// [`RouterKind::TABLE`], the first peer's down, the second's across. 0 is never.
///
/// In a round, the first peer sends and its datagram arrives; then the second one sends; then both read. Each sends to
/// where it was told, or to where it has heard the other from before this round.
pub const LEGACY_ROUNDS: [[u32; 6]; 6] = [
    // full cone, addr-restr, port-restr, bare masq, home router, hard
    [1, 2, 2, 2, 2, 2], // full cone
    [1, 2, 2, 2, 2, 2], // addr-restr
    [1, 2, 2, 0, 2, 0], // port-restr
    [1, 2, 2, 0, 2, 0], // bare masq
    [1, 2, 2, 0, 2, 0], // home router
    [2, 3, 0, 0, 0, 0], // hard
];

/// The figure for two kinds of the table, `None` for any other kind.
pub fn legacy_rounds(first: RouterKind, second: RouterKind) -> Option<u32> {
    let place = |kind| RouterKind::TABLE.iter().position(|other| *other == kind);
    LEGACY_ROUNDS.get(place(first)?)?.get(place(second)?).copied()
}

/// Whether peers of version 2 behind these two routers reach each other, whichever of them asks. Whoever has a port for each
/// destination is heard by a port that nobody was told of, and comes in only where a router does not ask for the port.
pub fn v2_reaches(kinds: [RouterKind; 2]) -> bool {
    let is_hard = |kind: RouterKind| kind.behaviour().mapping == Mapping::AddressAndPortDependent;
    let asks_for_the_port =
        |kind: RouterKind| kind.behaviour().filtering == Filtering::AddressAndPortDependent;
    let [first, second] = kinds;
    !(is_hard(first) && asks_for_the_port(second) || is_hard(second) && asks_for_the_port(first))
}

/// Whether a peer whose carrier has the first kind of router and whose home the second gets through to one behind a
/// home router of its own, legacy peers and those of version 2. A datagram has to pass both, so the harder one decides.
pub const BY_CARRIER: [(RouterKind, RouterKind, bool); 5] = [
    (RouterKind::HomeRouter, RouterKind::HomeRouter, true),
    (RouterKind::FullCone, RouterKind::HomeRouter, true),
    (RouterKind::HomeRouter, RouterKind::FullCone, true),
    (RouterKind::Hard, RouterKind::HomeRouter, false),
    (RouterKind::HomeRouter, RouterKind::Hard, false),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_reaches_whom_the_legacy_contract_does_in_either_order_and_bare_masquerades_too() {
        for first in RouterKind::TABLE {
            for second in RouterKind::TABLE {
                let legacy = [(first, second), (second, first)]
                    .iter()
                    .any(|(first, second)| legacy_rounds(*first, *second).is_some_and(|rounds| rounds > 0));
                let bare = [first, second] == [RouterKind::BareMasquerade; 2];
                assert_eq!(v2_reaches([first, second]), legacy || bare, "{first} to {second}");
            }
        }
    }
}
