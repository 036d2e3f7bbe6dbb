//! Servers and peers that know the legacy contract only.

use std::net::SocketAddr;
use std::time::Duration;

use nat_simulator::{Link, RouterKind};
use peer_client::{ConnectError, Target};

use crate::peer::{Detour, Peer};
use crate::world::World;

const HOME: &[RouterKind] = &[RouterKind::HomeRouter];

#[test]
fn with_a_legacy_server_peers_meet_by_their_ip_addresses() {
    let mut world = World::with_server(1, "203.0.113.1", false);
    for _ in 0..2 {
        world.add_household(HOME, Link::delayed(Duration::from_millis(15)), Detour::default());
    }
    world.register();
    assert!([0, 1].iter().all(|index| world.peer(*index).is_legacy()));
    let (ip, id) = (world.peer(1).address().ip(), world.peer(1).id);
    assert_eq!(world.connect_to(0, 1, Target::Id(id)).unwrap_err(), ConnectError::LegacyServer);
    world.connect_to(0, 1, Target::Ip(ip)).unwrap();
    let nobody = "203.0.113.99".parse().unwrap();
    assert_eq!(world.connect_to(0, 1, Target::Ip(nobody)).unwrap_err(), ConnectError::NotFound);
    world.pass(Duration::from_hours(1));
    assert!(world.peer(0).is_registered());
    world.act(0, Peer::close);
    assert!(world.peer(0).closed);
}

/// A legacy peer on an open host: it registers, and answers whatever comes from no server, in words of its own.
#[derive(Debug, Default)]
pub(crate) struct LegacyPeer {
    pub(crate) heard: Vec<Vec<u8>>,
}

impl LegacyPeer {
    pub(crate) fn on_datagram(
        &mut self,
        [to, from, server]: [SocketAddr; 3],
        bytes: &[u8],
        actions: &mut nat_simulator::Actions,
    ) {
        if from != server {
            self.heard.push(bytes.to_vec());
            if self.heard.len() == 1 {
                actions.send(to, from, *b"whatever it says");
            }
        }
    }
}

#[test]
fn whatever_comes_of_a_legacy_peer_counts_as_heard() {
    for kind in RouterKind::TABLE {
        let mut world = World::new(1);
        world.add_household(&[kind], Link::delayed(Duration::from_millis(15)), Detour::default());
        let legacy = world.add_legacy("203.0.113.200:5000".parse().unwrap());
        world.register();
        world.act(0, |peer, now, actions| peer.connect(now, Target::Ip(legacy.ip()), actions));
        assert!(world.pass_until(Duration::from_secs(5), |peers| !peers[0].connected.is_empty()), "{kind}");
        let path = world.peer(0).connected[0].1;
        assert_eq!((path.peer, path.id), (legacy, None));
        assert_eq!(world.peer(0).heard, [b"whatever it says"], "{kind}: and it is not lost");
    }
}

#[test]
fn a_legacy_peer_that_asks_is_punched_and_accepted() {
    for kind in RouterKind::TABLE {
        let mut world = World::new(1);
        world.add_household(&[kind], Link::delayed(Duration::from_millis(15)), Detour::default());
        let legacy = world.add_legacy("203.0.113.200:5000".parse().unwrap());
        world.register();
        let target = world.peer(0).address().ip();
        world.act_legacy(legacy, &format!(r#"{{"type":"connect","target_ip":"{target}"}}"#));
        assert!(world.pass_until(Duration::from_secs(5), |peers| !peers[0].connected.is_empty()), "{kind}");
        assert_eq!(world.peer(0).connected[0].1.request, None);
    }
}
