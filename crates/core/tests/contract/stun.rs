use peer_core::stun::{Discovery, Request, Success, is_stun};

use super::sample::Sample;

pub(crate) const KINDS: &[&str] = &["STUN Binding request", "STUN success response", "STUN error response"];

/// Type, length, magic cookie, and a transaction id that is easy to see.
const REQUEST: [u8; 20] = *b"\x00\x01\x00\x00\x21\x12\xa4\x42p2p-tracker!";
/// CHANGE-REQUEST with both flags.
const CHANGE_BOTH: [u8; 8] = [0x00, 0x03, 0x00, 0x04, 0, 0, 0, 6];

/// The same with attributes.
fn with(attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
    let (kind, rest) = REQUEST.split_at(2);
    let (_, rest) = rest.split_at(2);
    [kind, &length, rest, attributes].concat()
}

fn decode(datagram: &[u8]) -> Request<'_> {
    assert!(is_stun(datagram));
    Request::decode(datagram).unwrap()
}

fn success(request: &[u8], discovery: Option<Discovery>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mapped = "203.0.113.21:41001".parse().unwrap();
    decode(request).succeed(&Success { mapped, discovery, software: None }, &mut bytes);
    bytes
}

/// What is shown has to be what is written; its reader is any STUN library's, and turnutils' in the tests of the programs.
fn answer(title: &str, bytes: Vec<u8>) -> Sample {
    let written = bytes.clone();
    Sample::new(title, bytes, move |datagram| {
        assert!(is_stun(datagram));
        assert_eq!(datagram, written);
    })
}

pub(crate) fn samples() -> Vec<Sample> {
    let discovery =
        Discovery { origin: "192.0.2.1:12345".parse().unwrap(), other: "192.0.2.2:12346".parse().unwrap() };
    let change = with(&CHANGE_BOTH);
    let mut refused = Vec::new();
    decode(&change).refuse(false, &mut refused);
    vec![
        Sample::new("STUN Binding request", REQUEST, |datagram| {
            let request = decode(datagram);
            assert!(!request.is_classic() && !request.has_unknown() && request.change().is_none());
        }),
        Sample::new("STUN Binding request, with CHANGE-REQUEST", change.clone(), |datagram| {
            let change = decode(datagram).change().unwrap();
            assert!(change.ip && change.port);
        }),
        answer("STUN success response, to 203.0.113.21:41001", success(&REQUEST, None)),
        answer(
            "STUN success response, of a server with a second address",
            success(&REQUEST, Some(discovery)),
        ),
        answer("STUN error response, 420 where there is no second address", refused),
    ]
}
