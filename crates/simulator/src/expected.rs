//! What peers of the legacy contract get through, which laboratory and simulation must both show.

use crate::RouterKind;

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

/// Whether a peer whose carrier has the first kind of router and whose home the second gets through to one behind a
/// home router of its own, as legacy peers. A datagram has to pass both, so the harder one decides.
pub const LEGACY_BY_CARRIER: [(RouterKind, RouterKind, bool); 5] = [
    (RouterKind::HomeRouter, RouterKind::HomeRouter, true),
    (RouterKind::FullCone, RouterKind::HomeRouter, true),
    (RouterKind::HomeRouter, RouterKind::FullCone, true),
    (RouterKind::Hard, RouterKind::HomeRouter, false),
    (RouterKind::HomeRouter, RouterKind::Hard, false),
];
