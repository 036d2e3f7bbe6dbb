//! What a peer published at a tracker, held against what it offers now.

use std::net::IpAddr;

use peer_core::PeerId;
use peer_core::limits::LOOKUP_MAX;

use crate::digest::ContentDigest;
use crate::tracker::{Holder, Tracker, TrackerError};
use crate::transfer::RemoteFile;

/// Peers of each file that a tracker is asked for: as many as it gives at once.
const PEERS_MAX: usize = 50;

/// Who offers files, as a tracker would know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publisher {
    /// Its id, which it has shown to hold.
    pub id: Option<PeerId>,
    /// Its public address, where it may have published without an id.
    pub ip: Option<IpAddr>,
}

/// How offered files stand with what was published.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Files that are as they were published.
    pub same: usize,
    /// Files that are not.
    pub different: Vec<Difference>,
    /// Files of which the tracker knows no SHA-256 of this peer.
    pub unknown: Vec<String>,
}

/// A file that is offered with another hash than it was published with.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub filename: String,
    /// What was published.
    pub published: ContentDigest,
    /// What is offered.
    pub offered: ContentDigest,
}

/// Asks the tracker about all of `files`, 200 at a time.
pub fn compare(
    tracker: &Tracker,
    publisher: Publisher,
    files: &[RemoteFile],
) -> Result<Comparison, TrackerError> {
    let mut comparison = Comparison::default();
    for batch in files.chunks(LOOKUP_MAX) {
        let names: Vec<&str> = batch.iter().map(|file| file.name.as_str()).collect();
        for (file, found) in batch.iter().zip(tracker.lookup(&names, PEERS_MAX)?) {
            comparison.count(file, publisher.claim(&found.peers));
        }
    }
    Ok(comparison)
}

impl Publisher {
    /// The hash that it published, where that is a SHA-256: what is of its id counts before what is of its address.
    fn claim(self, holders: &[Holder]) -> Option<ContentDigest> {
        let of_id = holders.iter().find(|holder| {
            let id = holder.id.as_deref().and_then(|id| id.parse::<PeerId>().ok());
            id.is_some() && id == self.id
        });
        let of_address = || {
            holders.iter().find(|holder| {
                let ip = holder.ip.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
                holder.id.is_none() && ip.is_some() && ip == self.ip.map(|ip| ip.to_canonical())
            })
        };
        of_id.or_else(of_address)?.hash.to_ascii_lowercase().parse().ok()
    }
}

impl Comparison {
    fn count(&mut self, file: &RemoteFile, published: Option<ContentDigest>) {
        match published {
            None => self.unknown.push(file.name.to_string()),
            Some(published) if published == file.digest => self.same += 1,
            Some(published) => self.different.push(Difference {
                filename: file.name.to_string(),
                published,
                offered: file.digest,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;
    use crate::identity::Identity;

    const ONE: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const OTHER: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn holder(id: Option<PeerId>, ip: &str, hash: &str) -> Holder {
        let (id, hash, ip) = (id.map(|id| id.to_string()), hash.to_owned(), ip.to_owned());
        Holder { ip, port: None, id, hash, size: None, last_seen: None, online: None }
    }

    fn id(number: u8) -> PeerId {
        Identity::from_secret(&[number; 32]).id()
    }

    #[test]
    fn a_claim_is_that_of_the_id_or_else_that_of_the_address_without_one() {
        let holders = [
            holder(Some(id(2)), "203.0.113.5", OTHER),
            holder(None, "203.0.113.5", &ONE.to_uppercase()),
            holder(Some(id(1)), "203.0.113.9", OTHER),
            holder(Some(id(3)), "203.0.113.9", "d41d8cd98f00b204e9800998ecf8427e"),
        ];
        let claim = |id, ip: Option<&str>| {
            let ip = ip.map(|ip| ip.parse().unwrap());
            Publisher { id, ip }.claim(&holders).map(|digest| digest.to_string())
        };
        assert_eq!(claim(Some(id(1)), None).as_deref(), Some(OTHER));
        assert_eq!(claim(Some(id(1)), Some("203.0.113.5")).as_deref(), Some(OTHER));
        assert_eq!(claim(Some(id(4)), Some("203.0.113.5")).as_deref(), Some(ONE));
        assert_eq!(claim(None, Some("::ffff:203.0.113.5")).as_deref(), Some(ONE));
        // Whoever shares the address of a peer with an id has not published that peer's files.
        assert_eq!(claim(None, Some("203.0.113.9")), None);
        assert_eq!(claim(None, None), None);
        // A hash of another kind cannot be compared.
        assert_eq!(claim(Some(id(3)), None), None);
    }

    #[test]
    fn files_are_the_same_different_or_unknown() {
        let file =
            |name: &str| RemoteFile { name: name.parse().unwrap(), digest: ONE.parse().unwrap(), size: 3 };
        let mut comparison = Comparison::default();
        for (name, published) in [("home/a", Some(ONE)), ("home/b", Some(OTHER)), ("home/c", None)] {
            comparison.count(&file(name), published.map(|hash| hash.parse().unwrap()));
        }
        let different = Difference {
            filename: "home/b".to_owned(),
            published: OTHER.parse().unwrap(),
            offered: ONE.parse().unwrap(),
        };
        let unknown = vec!["home/c".to_owned()];
        assert_eq!(comparison, Comparison { same: 1, different: vec![different], unknown });
    }
}
