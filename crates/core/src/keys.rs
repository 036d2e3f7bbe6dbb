//! Every Redis key there is.
//!
//! A key is `p2p:{slot}:kind`. The part in braces is the hash tag (Redis Cluster specification, "Hash tags"): all
//! keys of one file share a slot, and so do all keys of one peer, so that a script touches one slot only. A name
//! with a `}` in it cuts the tag short in all of its file's keys alike, which keeps them together too.
//!
//! | key | type | holds | expires |
//! |---|---|---|---|
//! | `p2p:{f:NAME}:hashes` | hash | field owner, value `HASH` or `HASH SIZE`, what it claims; without those withheld | [`Expiry::Index`] |
//! | `p2p:{f:NAME}:withheld` | hash | the same of those withheld | [`Expiry::Index`] |
//! | `p2p:{p:OWNER}:seen` | string | `MS`, the last sign of life, or `MS TTL ADDRESS PORT FLAGS`; there while the peer is alive | [`Expiry::Peer`] |
//! | `p2p:{p:OWNER}:files` | set | names that the peer published | [`Expiry::Index`] |
//! | `p2p:{p:OWNER}:withheld` | set | those of them that are withheld from everybody | [`Expiry::Index`] |
//! | `p2p:{p:OWNER}:strikes` | hash | field name (empty: all), value `N MS`: how often it was withheld, when last | [`Expiry::Strikes`] |
//! | `p2p:{p:OWNER}:changing` | hash | field name, value `WHO UNTIL_MS`: who changes the mapping at this moment; on a Cluster only | [`Expiry::Change`] |
//! | `p2p:{p:OWNER}:reports:NAME` | sorted set | member network that reported the file (no name: all), score time in ms | [`Expiry::Report`] |
//! | `p2p:{r:ADDRESS}:hidden` | sorted set | member `OWNER` or `OWNER NAME` that this reporter does not see, score time in ms | [`Expiry::Report`] |
//! | `p2p:{a:ADDRESS}:ids` | sorted set | member id that was at the address, score time in ms | [`Expiry::Index`] |
//! | `p2p:{p:OWNER}:homes` | sorted set | member `KIND NODE`: a matchmaker that hears the peer, score time in ms when it said so last | [`Expiry::Home`] |
//! | `p2p:{nodes}:alive` | sorted set | member `NODE + ADDRESS:PORT,…` (`-` in place of `+`: about to end) of each matchmaker that meets others, score time in ms when it was last there | [`Expiry::Nodes`] |
//! | `p2p:{nodes}:tokens` | hash | fields `current`, `next`, `previous`: keys of tokens in hex; `made`: time in ms; `new`: 1 while a node that had met no other has made them up | never |
//! | `p2p:{due:SHARD}` | sorted set | member owner with files, score time in ms when the sweep looks at it next | never: emptied by the sweep |
//! | `p2p:{due:SHARD}:mappings` | string | how many files the peers of the shard have together | never |
//! | `p2p:{names:SHARD}` | sorted set | file names in order, score 0 | never: emptied with the last mapping |
//! | `p2p:used:TOKEN` | string | that a token was used | when it may be used again |
//! | `p2p:recount` | string | that a tracker counts the mappings anew | minutes |
//! | `p2p:imported` | string | that the original's keys were taken over | never |

//!
//! Matchmakers tell each other of connects by channels, `p2p:node:NODE` for what goes to one.

use std::fmt::Display;

use crate::{FileName, NodeId, Owner, Peer};

/// Shards of the two sets that span all peers and all files, so that no single key grows with the whole service.
pub const SHARDS: u16 = 16;

/// Slots of a Redis Cluster (Redis Cluster specification, "Key distribution model").
pub const SLOTS: u16 = 16_384;

/// For how long, in ms, one who changes a mapping on a Cluster keeps others off it: longer than the steps may take.
pub const CHANGE_MS: u64 = 1_000;

/// How long a key lives without being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// `PEER_TTL_SECS`: the key's own expiry is what makes a peer dead, so no sweep has to run for it.
    Peer,
    /// Twice `PEER_TTL_SECS` and a minute. The sweep looks at each peer once in `PEER_TTL_SECS` and renews the
    /// indexes of the living, so this one only cleans up where no tracker ran at all.
    Index,
    /// [`crate::limits::REPORT_SECS`].
    Report,
    /// [`crate::limits::HOME_MS`].
    Home,
    /// Ten times [`crate::limits::NODE_MS`]; members of it after one.
    Nodes,
    /// [`crate::limits::WITHHELD_WAIT_MAX_SECS`].
    Strikes,
    /// [`CHANGE_MS`].
    Change,
    /// Never; something else empties it.
    Never,
}

/// The peers of a file, with the hashes that they claim; without those withheld.
pub fn file_hashes(file: &FileName) -> String {
    format!("p2p:{{f:{file}}}:hashes")
}

/// The same of those withheld from everybody.
pub fn file_withheld(file: &FileName) -> String {
    format!("p2p:{{f:{file}}}:withheld")
}

/// The peers of a file in an earlier version, which kept them beside the hashes.
pub fn earlier_file_peers(file: &FileName) -> String {
    format!("p2p:{{f:{file}}}:peers")
}

/// A peer's last sign of life.
pub fn peer_seen(owner: Owner) -> String {
    format!("p2p:{{p:{owner}}}:seen")
}

/// The files of a peer.
pub fn peer_files(owner: Owner) -> String {
    format!("p2p:{{p:{owner}}}:files")
}

/// The files of a peer that are withheld from everybody.
pub fn peer_withheld(owner: Owner) -> String {
    format!("p2p:{{p:{owner}}}:withheld")
}

/// How often a peer and its files were withheld.
pub fn peer_strikes(owner: Owner) -> String {
    format!("p2p:{{p:{owner}}}:strikes")
}

/// Which mappings of a peer are being changed.
pub fn peer_changing(owner: Owner) -> String {
    format!("p2p:{{p:{owner}}}:changing")
}

/// Who reported a peer for one of its files, or for all.
pub fn peer_reports(owner: Owner, file: Option<&FileName>) -> String {
    let file = file.map_or("", FileName::as_str);
    format!("p2p:{{p:{owner}}}:reports:{file}")
}

/// What a reporter does not see.
pub fn hidden(reporter: Peer) -> String {
    format!("p2p:{{r:{reporter}}}:hidden")
}

/// The peers with an id that are, or lately were, at an address.
pub fn ids_at(address: Peer) -> String {
    format!("p2p:{{a:{address}}}:ids")
}

/// Which matchmakers hear a peer.
pub fn peer_homes(owner: Owner) -> String {
    format!("p2p:{{p:{owner}}}:homes")
}

/// The matchmakers that meet others.
pub fn nodes() -> &'static str {
    "p2p:{nodes}:alive"
}

/// What their tokens are made with.
pub fn token_keys() -> &'static str {
    "p2p:{nodes}:tokens"
}

/// The channel of what is told to one of them.
pub fn node_channel(node: NodeId) -> String {
    format!("p2p:node:{node}")
}

/// When the sweep looks at which peer, for the shard of `owner`.
pub fn due_of(owner: Owner) -> String {
    due(owner_shard(owner))
}

/// When the sweep looks at which peer, for one shard below [`SHARDS`].
pub fn due(shard: u16) -> String {
    format!("p2p:{{due:{shard:02}}}")
}

/// How many mappings there are, for the shard of `owner`.
pub fn mappings_of(owner: Owner) -> String {
    mappings(owner_shard(owner))
}

/// How many mappings there are, for one shard below [`SHARDS`] of the peers.
pub fn mappings(shard: u16) -> String {
    format!("p2p:{{due:{shard:02}}}:mappings")
}

fn owner_shard(owner: Owner) -> u16 {
    match owner {
        Owner::Address(peer) => shard(&peer.to_bytes()),
        Owner::Key(id) => shard(&id.to_bytes()),
    }
}

/// That a token was used.
pub fn used(token: impl Display) -> String {
    format!("p2p:used:{token}")
}

/// That a tracker counts the mappings anew.
pub fn recount() -> &'static str {
    "p2p:recount"
}

/// The tracked names, for the shard of `file`.
pub fn names_of(file: &FileName) -> String {
    names(shard(file.as_str().as_bytes()))
}

/// The tracked names, for one shard below [`SHARDS`].
pub fn names(shard: u16) -> String {
    format!("p2p:{{names:{shard:02}}}")
}

/// That the original's keys were taken over.
pub fn imported() -> &'static str {
    "p2p:imported"
}

/// Keys of the original Python server, read once by the import.
pub mod original {
    use super::Display;

    /// Pattern of the sets of peers, one a file.
    pub const FILES_PATTERN: &str = "file:*";
    /// What stands before the name in a key of [`FILES_PATTERN`].
    pub const FILE_PREFIX: &str = "file:";

    /// The content hash of a file.
    pub fn file_hash(name: impl Display) -> String {
        format!("filehash:{name}")
    }
}

/// The slot of a key: of its hash tag, the part between the first `{` and the first `}` after it, where that is not empty.
pub fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        rest.get(..rest.iter().position(|byte| *byte == b'}')?).filter(|tag| !tag.is_empty())
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC16-CCITT (XMODEM), as the Redis Cluster specification has it in its appendix.
fn crc16(bytes: &[u8]) -> u16 {
    const POLYNOMIAL: u16 = 0x1021;
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ POLYNOMIAL }
        })
    })
}

/// FNV-1a, 32 bits: stable between builds and machines, since all trackers of one Redis must agree on it.
fn shard(bytes: &[u8]) -> u16 {
    let hash =
        bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    u16::try_from(hash % u32::from(SHARDS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot read its own sample has failed")]

    use super::*;

    #[test]
    fn all_keys_and_their_expiry() {
        let file: FileName = "site/index.html".parse().unwrap();
        let peer: Peer = "203.0.113.5".parse().unwrap();
        let owner = Owner::from(peer);
        let id: Owner = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw".parse().unwrap();
        let keys = [
            (file_hashes(&file), Expiry::Index),
            (file_withheld(&file), Expiry::Index),
            (peer_seen(owner), Expiry::Peer),
            (peer_files(owner), Expiry::Index),
            (peer_files(id), Expiry::Index),
            (peer_withheld(owner), Expiry::Index),
            (peer_strikes(owner), Expiry::Strikes),
            (peer_changing(owner), Expiry::Change),
            (peer_reports(owner, Some(&file)), Expiry::Report),
            (peer_reports(owner, None), Expiry::Report),
            (hidden(peer), Expiry::Report),
            (ids_at(peer), Expiry::Index),
            (peer_homes(id), Expiry::Home),
            (nodes().to_owned(), Expiry::Nodes),
            (token_keys().to_owned(), Expiry::Never),
            (due_of(owner), Expiry::Never),
            (mappings_of(owner), Expiry::Never),
            (names_of(&file), Expiry::Never),
            (imported().to_owned(), Expiry::Never),
        ];
        let printed: Vec<String> = keys.iter().map(|(key, expiry)| format!("{key} {expiry:?}")).collect();
        let expected = [
            "p2p:{f:site/index.html}:hashes Index",
            "p2p:{f:site/index.html}:withheld Index",
            "p2p:{p:203.0.113.5}:seen Peer",
            "p2p:{p:203.0.113.5}:files Index",
            "p2p:{p:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw}:files Index",
            "p2p:{p:203.0.113.5}:withheld Index",
            "p2p:{p:203.0.113.5}:strikes Strikes",
            "p2p:{p:203.0.113.5}:changing Change",
            "p2p:{p:203.0.113.5}:reports:site/index.html Report",
            "p2p:{p:203.0.113.5}:reports: Report",
            "p2p:{r:203.0.113.5}:hidden Report",
            "p2p:{a:203.0.113.5}:ids Index",
            "p2p:{p:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw}:homes Home",
            "p2p:{nodes}:alive Nodes",
            "p2p:{nodes}:tokens Never",
            "p2p:{due:02} Never",
            "p2p:{due:02}:mappings Never",
            "p2p:{names:00} Never",
            "p2p:imported Never",
        ];
        assert_eq!(printed, expected);
    }

    #[test]
    fn keys_of_one_file_share_a_hash_tag_whatever_its_name() {
        for name in ["a", "a}b", "{a}", "}", "a{b", "{}x"] {
            let file: FileName = name.parse().unwrap();
            assert_eq!(hash_tag(&file_withheld(&file)), hash_tag(&file_hashes(&file)), "{name:?}");
        }
    }

    #[test]
    fn slots_are_those_of_a_cluster() {
        // The first is the check value of the specification, the others are what `CLUSTER KEYSLOT` says.
        for (key, expected) in [
            ("123456789", 12_739),
            ("foo", 12_182),
            ("{user1000}.following", 3_443),
            ("{user1000}.followers", 3_443),
            ("foo{}{bar}", 8_363),
            ("foo{{bar}}zap", 4_015),
            ("foo{bar}{zap}", 5_061),
            ("{bar", 4_015),
        ] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }

    #[test]
    fn shards_are_used_evenly() {
        let mut counts = vec![0_u32; usize::from(SHARDS)];
        for number in 0..16_000_u32 {
            let name: FileName = format!("site/page-{number}.html").parse().unwrap();
            let key = names_of(&name);
            let shard = (0..SHARDS).find(|shard| names(*shard) == key).unwrap();
            *counts.get_mut(usize::from(shard)).unwrap() += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }

    /// The part of a key that Redis Cluster hashes: between the first `{` and the first `}` after it.
    fn hash_tag(key: &str) -> &str {
        let (_, rest) = key.split_once('{').unwrap();
        let (tag, _) = rest.split_once('}').unwrap();
        assert!(!tag.is_empty());
        tag
    }
}
