//! The bytes on disk.
//!
//! An owner is a tag and 16 bytes of address or 32 of key, so that all mappings of one stand together and no owner is the
//! start of another. Numbers are big-endian.

use peer_core::{ContentHash, Owner, Peer, PeerId};

use super::contents::Content;
use super::peers::PeerRecord;
use super::tokens::Token;
use crate::{Publisher, RegistryError};

const TAG_ADDRESS: u8 = 0;
const TAG_KEY: u8 = 1;
/// Form of the record of a peer.
const PEER_FORM: u8 = 1;
/// Size of a file in a mapping where none was stated; [`peer_core::limits::FILE_SIZE_MAX`] is less.
const NO_SIZE: u64 = u64::MAX;

/// Key of a peer's record, and start of the keys of its mappings.
pub(super) fn owner_key(owner: Owner, more: usize) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + PeerId::BYTES + more);
    match owner {
        Owner::Address(peer) => {
            key.push(TAG_ADDRESS);
            key.extend_from_slice(&peer.to_bytes());
        }
        Owner::Key(id) => {
            key.push(TAG_KEY);
            key.extend_from_slice(&id.to_bytes());
        }
    }
    key
}

/// Key of a mapping: owner, file name.
pub(super) fn mapping_key(owner: Owner, file: &str) -> Vec<u8> {
    let mut key = owner_key(owner, file.len());
    key.extend_from_slice(file.as_bytes());
    key
}

/// The inverse of [`mapping_key`]; of [`owner_key`] where nothing is left.
pub(super) fn split_key(key: &[u8]) -> Result<(Owner, &str), RegistryError> {
    let (owner, name) = match key.split_first() {
        Some((&TAG_ADDRESS, rest)) => {
            let (address, name) = rest.split_first_chunk().ok_or_else(|| unreadable("a key is too short"))?;
            (Owner::Address(Peer::from_bytes(*address).map_err(unreadable)?), name)
        }
        Some((&TAG_KEY, rest)) => {
            let (id, name) = rest.split_first_chunk().ok_or_else(|| unreadable("a key is too short"))?;
            (Owner::Key(PeerId::from_bytes(*id)), name)
        }
        _ => return Err(unreadable("a key has no owner")),
    };
    Ok((owner, std::str::from_utf8(name).map_err(unreadable)?))
}

/// A mapping: life of the peer (4), size (8), hash as text.
pub(super) fn mapping_value(life: u32, content: &Content) -> Vec<u8> {
    let hash = content.hash.as_str().as_bytes();
    let mut value = Vec::with_capacity(12 + hash.len());
    value.extend_from_slice(&life.to_be_bytes());
    value.extend_from_slice(&content.size.unwrap_or(NO_SIZE).to_be_bytes());
    value.extend_from_slice(hash);
    value
}

/// The inverse of [`mapping_value`].
pub(super) fn read_mapping(value: &[u8]) -> Result<(u32, Content), RegistryError> {
    let mut fields = Fields(value);
    let life = u32::from_be_bytes(fields.take()?);
    let size = Some(u64::from_be_bytes(fields.take()?)).filter(|size| *size != NO_SIZE);
    Ok((life, Content { hash: read_hash(fields.0)?, size }))
}

/// A hash as text.
pub(super) fn read_hash(value: &[u8]) -> Result<ContentHash, RegistryError> {
    std::str::from_utf8(value).map_err(unreadable)?.parse().map_err(unreadable)
}

/// A peer: form (1), last sign of life in ms since 1970 (8), life (4), time to live in seconds or 0 (4), address (16),
/// port or 0 (2).
pub(super) fn peer_value(record: &PeerRecord) -> Vec<u8> {
    let publisher = &record.publisher;
    let mut value = Vec::with_capacity(35);
    value.push(PEER_FORM);
    value.extend_from_slice(&record.seen_ms.to_be_bytes());
    value.extend_from_slice(&record.life.to_be_bytes());
    value.extend_from_slice(&publisher.ttl_secs.unwrap_or(0).to_be_bytes());
    value.extend_from_slice(&publisher.address.to_bytes());
    value.extend_from_slice(&publisher.port.unwrap_or(0).to_be_bytes());
    value
}

/// The inverse of [`peer_value`].
pub(super) fn read_peer(owner: Owner, value: &[u8]) -> Result<PeerRecord, RegistryError> {
    let mut fields = Fields(value);
    let [form] = fields.take()?;
    if form != PEER_FORM {
        return Err(unreadable("a peer is written in a form of a later version"));
    }
    let seen_ms = u64::from_be_bytes(fields.take()?);
    let life = u32::from_be_bytes(fields.take()?);
    let ttl_secs = Some(u32::from_be_bytes(fields.take()?)).filter(|secs| *secs != 0);
    let address = Peer::from_bytes(fields.take()?).map_err(unreadable)?;
    let port = Some(u16::from_be_bytes(fields.take()?)).filter(|port| *port != 0);
    Ok(PeerRecord { publisher: Publisher { owner, address, port, ttl_secs }, seen_ms, life })
}

/// Until when a token is remembered, in ms since 1970.
pub(super) fn read_token(key: &[u8], value: &[u8]) -> Result<(Token, u64), RegistryError> {
    Ok((key.try_into().map_err(unreadable)?, u64::from_be_bytes(value.try_into().map_err(unreadable)?)))
}

/// What is left of a value.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], RegistryError> {
        let (field, rest) = self.0.split_first_chunk().ok_or_else(|| unreadable("a value is too short"))?;
        self.0 = rest;
        Ok(*field)
    }
}

pub(super) fn unreadable(error: impl std::fmt::Display) -> RegistryError {
    RegistryError::Broken(format!("DATA_DIR: the data cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use proptest::prelude::*;

    use super::*;

    fn owner(id: Option<[u8; 32]>) -> Owner {
        id.map_or("203.0.113.5".parse().unwrap(), |id| Owner::Key(PeerId::from_bytes(id)))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            id in any::<Option<[u8; 32]>>(),
            name in ".{1,20}",
            (life, seen_ms) in any::<(u32, u64)>(),
            size in prop::option::of(0..=peer_core::limits::FILE_SIZE_MAX),
            port in prop::option::of(1..u16::MAX),
            ttl_secs in prop::option::of(1..u32::MAX),
        ) {
            let owner = owner(id);
            let (of_mapping, of_owner) = (mapping_key(owner, &name), owner_key(owner, 0));
            prop_assert_eq!(split_key(&of_mapping).unwrap(), (owner, name.as_str()));
            prop_assert_eq!(split_key(&of_owner).unwrap(), (owner, ""));
            let content = Content { hash: "sha256:ab".parse().unwrap(), size };
            prop_assert_eq!(read_mapping(&mapping_value(life, &content)).unwrap(), (life, content));
            let publisher = Publisher { owner, address: "2001:db8::1".parse().unwrap(), port, ttl_secs };
            let record = PeerRecord { publisher, seen_ms, life };
            prop_assert_eq!(read_peer(owner, &peer_value(&record)).unwrap(), record);
        }

        #[test]
        fn what_was_not_written_by_us_is_refused_and_no_panic(bytes: Vec<u8>) {
            let _ = split_key(&bytes);
            let _ = read_mapping(&bytes);
            let _ = read_peer(owner(None), &bytes);
            let _ = read_token(&bytes, &bytes);
        }
    }

    #[test]
    fn a_record_of_a_later_form_is_refused() {
        let publisher = Publisher::legacy("203.0.113.5".parse().unwrap());
        let mut value = peer_value(&PeerRecord { publisher, seen_ms: 1, life: 1 });
        if let Some(form) = value.first_mut() {
            *form = PEER_FORM + 1;
        }
        let error = read_peer(owner(None), &value).unwrap_err().to_string();
        assert_eq!(
            error,
            "DATA_DIR: the data cannot be read: a peer is written in a form of a later version"
        );
    }
}
