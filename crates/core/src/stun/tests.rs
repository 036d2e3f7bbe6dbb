#![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

use std::net::SocketAddr;

use proptest::prelude::*;

use super::attribute::{
    Attribute, Attributes, CHANGED_ADDRESS, ERROR_CODE, FINGERPRINT, MAPPED_ADDRESS, OTHER_ADDRESS,
    RESPONSE_ORIGIN, SOFTWARE, SOURCE_ADDRESS, UNKNOWN_ATTRIBUTES, XOR_MAPPED_ADDRESS,
};
use super::*;

/// Bytes from hex digits with blanks between.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()
}

const COOKIE_AND_ID: &str = "21 12 a4 42  b7 e7 a7 01 bc 34 d6 86 fa 87 df ae";

/// RFC 5769 section 2.1.
fn sample_request() -> Vec<u8> {
    bytes(&format!(
        "00 01 00 58 {COOKIE_AND_ID}
         80 22 00 10  53 54 55 4e 20 74 65 73 74 20 63 6c 69 65 6e 74
         00 24 00 04  6e 00 01 ff
         80 29 00 08  93 2f f9 b1 51 26 3b 36
         00 06 00 09  65 76 74 6a 3a 68 36 76 59 20 20 20
         00 08 00 14  9a ea a7 0c bf d8 cb 56 78 1e f2 b5 b2 d3 f2 49 c1 b5 71 a2
         80 28 00 04  e5 7a 3b cf"
    ))
}

/// RFC 5769 sections 2.2 and 2.3, each with the address that it tells.
fn sample_responses() -> [(Vec<u8>, SocketAddr); 2] {
    let v4 = format!(
        "01 01 00 3c {COOKIE_AND_ID}
         80 22 00 0b  74 65 73 74 20 76 65 63 74 6f 72 20
         00 20 00 08  00 01 a1 47 e1 12 a6 43
         00 08 00 14  2b 91 f5 99 fd 9e 90 c3 8c 74 89 f9 2a f9 ba 53 f0 6b e7 d7
         80 28 00 04  c0 7d 4c 96"
    );
    let v6 = format!(
        "01 01 00 48 {COOKIE_AND_ID}
         80 22 00 0b  74 65 73 74 20 76 65 63 74 6f 72 20
         00 20 00 14  00 02 a1 47 01 13 a9 fa a5 d3 f1 79 bc 25 f4 b5 be d2 b9 d9
         00 08 00 14  a3 82 95 4e 4b e6 7b f1 17 84 c9 7c 82 92 c2 75 bf e3 ed 41
         80 28 00 04  c8 fb 0b 4c"
    );
    [
        (bytes(&v4), "192.0.2.1:32853".parse().unwrap()),
        (bytes(&v6), "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap()),
    ]
}

/// A Binding request with these attributes; the id in hex.
fn request(id: &str, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    request_of(&bytes(id), attributes)
}

fn request_of(id: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in attributes {
        body.extend(kind.to_be_bytes());
        body.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[0, 1], &length[..], id, &body].concat()
}

/// The same with FINGERPRINT.
fn with_fingerprint(mut message: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(message.len() - HEADER_BYTES + 8).unwrap();
    message.splice(2..4, length.to_be_bytes());
    let value = fingerprint(&message);
    message.extend([0x80, 0x28, 0, 4]);
    message.extend(value);
    message
}

/// Type, id and attributes of a message of ours, its lengths and FINGERPRINT checked.
fn read(message: &[u8]) -> (u16, Vec<u8>, Vec<Attribute<'_>>) {
    let (header, body) = message.split_first_chunk::<HEADER_BYTES>().unwrap();
    let [kind_high, kind_low, length_high, length_low, id @ ..] = header;
    assert_eq!(usize::from(u16::from_be_bytes([*length_high, *length_low])), body.len());
    assert!(body.len().is_multiple_of(4));
    let mut attributes = Attributes::of(body);
    let all: Vec<Attribute<'_>> = attributes.by_ref().collect();
    assert!(attributes.rest().is_empty());
    if let Some(place) = all.iter().position(|attribute| attribute.kind == FINGERPRINT) {
        assert_eq!(place, all.len() - 1);
        assert_eq!(all.last().unwrap().value, fingerprint(message.get(..message.len() - 8).unwrap()));
    }
    (u16::from_be_bytes([*kind_high, *kind_low]), id.to_vec(), all)
}

fn value<'a>(attributes: &[Attribute<'a>], kind: u16) -> Option<&'a [u8]> {
    attributes.iter().find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
}

fn kinds(attributes: &[Attribute<'_>]) -> Vec<u16> {
    attributes.iter().map(|attribute| attribute.kind).collect()
}

/// The address in an attribute, combined with `mask`.
fn address(value: &[u8], mask: &[u8]) -> SocketAddr {
    let (head, octets) = value.split_first_chunk::<4>().unwrap();
    let [zero, family, port @ ..] = head;
    assert_eq!(*zero, 0);
    let unmasked = |bytes: &[u8]| bytes.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect::<Vec<u8>>();
    let port = u16::from_be_bytes(unmasked(port).try_into().unwrap());
    match family {
        1 => (<[u8; 4]>::try_from(unmasked(octets)).unwrap(), port).into(),
        2 => (<[u8; 16]>::try_from(unmasked(octets)).unwrap(), port).into(),
        _ => unreachable!("family {family}"),
    }
}

fn success(mapped: SocketAddr) -> Success<'static> {
    Success { mapped, discovery: None, software: None }
}

fn answer(request: &[u8], success: &Success<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    Request::decode(request).unwrap().succeed(success, &mut out);
    out
}

fn refusal(request: &[u8], understands_change: bool) -> Vec<u8> {
    let mut out = Vec::new();
    Request::decode(request).unwrap().refuse(understands_change, &mut out);
    out
}

#[test]
fn the_sample_request_of_rfc_5769_is_read() {
    let sample = sample_request();
    assert!(is_stun(&sample));
    let request = Request::decode(&sample).unwrap();
    assert!(!request.is_classic());
    assert!(request.has_fingerprint);
    assert_eq!(request.change(), None);
    // PRIORITY of ICE: it is meant for a peer.
    assert_eq!(request.unknown(false).collect::<Vec<_>>(), [0x0024]);
    let mut wrong = sample;
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(Request::decode(&wrong).unwrap_err(), Ignored::Malformed);
}

#[test]
fn addresses_are_written_as_in_the_sample_responses_of_rfc_5769() {
    for (sample, mapped) in sample_responses() {
        assert!(is_stun(&sample));
        assert_eq!(Request::decode(&sample).unwrap_err(), Ignored::NotARequest);
        let (_, id, expected) = read(&sample);
        let ours = answer(&with_fingerprint(request(COOKIE_AND_ID, &[])), &success(mapped));
        let (kind, our_id, attributes) = read(&ours);
        assert_eq!((kind, our_id), (BINDING_SUCCESS, id));
        assert_eq!(value(&attributes, XOR_MAPPED_ADDRESS), value(&expected, XOR_MAPPED_ADDRESS));
        assert_eq!(kinds(&attributes), [XOR_MAPPED_ADDRESS, FINGERPRINT]);
    }
}

#[test]
fn the_shortest_request_gets_the_shortest_answer() {
    let bare = request(COOKIE_AND_ID, &[]);
    let lengths = ["192.0.2.1:5", "[::ffff:192.0.2.1]:5", "[2001:db8::1]:5"]
        .map(|addr| answer(&bare, &success(addr.parse().unwrap())).len());
    assert_eq!((bare.len(), lengths), (20, [32, 32, 44]));
}

#[test]
fn a_server_with_a_second_address_tells_of_it() {
    let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
    let (origin, other) = (addr("192.0.2.1:3478"), addr("192.0.2.2:3479"));
    let success = Success {
        mapped: addr("198.51.100.7:5"),
        discovery: Some(Discovery { origin, other }),
        software: Some("name"),
    };
    let modern = answer(&request(COOKIE_AND_ID, &[(0x0003, &[0, 0, 0, 6])]), &success);
    let (_, id, attributes) = read(&modern);
    let expected = [XOR_MAPPED_ADDRESS, MAPPED_ADDRESS, RESPONSE_ORIGIN, OTHER_ADDRESS, SOFTWARE];
    assert_eq!(kinds(&attributes), expected);
    assert_eq!(address(value(&attributes, XOR_MAPPED_ADDRESS).unwrap(), &id), success.mapped);
    assert_eq!(address(value(&attributes, MAPPED_ADDRESS).unwrap(), &[0; 16]), success.mapped);
    assert_eq!(address(value(&attributes, RESPONSE_ORIGIN).unwrap(), &[0; 16]), origin);
    assert_eq!(address(value(&attributes, OTHER_ADDRESS).unwrap(), &[0; 16]), other);
    assert_eq!(value(&attributes, SOFTWARE), Some(&b"name"[..]));

    let classic = answer(&request("00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f", &[]), &success);
    let (_, id, attributes) = read(&classic);
    assert_eq!(id, (0..16).collect::<Vec<u8>>());
    assert_eq!(kinds(&attributes), [MAPPED_ADDRESS, SOURCE_ADDRESS, CHANGED_ADDRESS, SOFTWARE]);
    assert_eq!(address(value(&attributes, MAPPED_ADDRESS).unwrap(), &[0; 16]), success.mapped);
}

#[test]
fn what_has_to_be_known_and_is_not_is_named_in_a_420() {
    let unknown = |kind| (kind, &[1, 2, 3][..]);
    let message = request(
        COOKIE_AND_ID,
        &[unknown(0x7fff), unknown(0x8000), (0x0003, &[0; 4]), unknown(0x0026), unknown(0x0006)],
    );
    let decoded = Request::decode(&message).unwrap();
    assert!(decoded.has_unknown());
    assert_eq!(decoded.change(), Some(Change { ip: false, port: false }));
    let refused = refusal(&message, false);
    let (kind, _, attributes) = read(&refused);
    assert_eq!(kind, BINDING_ERROR);
    assert_eq!(value(&attributes, ERROR_CODE), Some(&b"\0\0\x04\x14Unknown Attribute"[..]));
    assert_eq!(value(&attributes, UNKNOWN_ATTRIBUTES), Some(&[0x7f, 0xff, 0, 3, 0, 0x26][..]));
    let refused = refusal(&message, true);
    let (_, _, attributes) = read(&refused);
    assert_eq!(value(&attributes, UNKNOWN_ATTRIBUTES), Some(&[0x7f, 0xff, 0, 0x26][..]));
    // An odd list of RFC 3489 names one twice.
    let refused = refusal(&request(&"ee".repeat(16), &[unknown(0x0002)]), true);
    let (_, _, attributes) = read(&refused);
    assert_eq!(value(&attributes, UNKNOWN_ATTRIBUTES), Some(&[0, 2, 0, 2][..]));
}

#[test]
fn what_follows_a_message_integrity_is_ignored_but_for_fingerprint() {
    let message =
        with_fingerprint(request(COOKIE_AND_ID, &[(0x0008, &[0; 20]), (0x0003, &[4; 4]), (0x0002, &[])]));
    let decoded = Request::decode(&message).unwrap();
    assert!(decoded.has_fingerprint && !decoded.has_unknown() && decoded.change().is_none());
    assert_eq!(decoded.unknown(false).count(), 0);
}

#[test]
fn a_message_that_contradicts_itself_is_malformed() {
    let good = request(COOKIE_AND_ID, &[(0x8001, &[1, 2])]);
    let mut long = good.clone();
    long.push(0);
    let mut longer_attribute = good.clone();
    *longer_attribute.get_mut(23).unwrap() = 9;
    let mut after_fingerprint = with_fingerprint(good.clone());
    after_fingerprint.extend([0x80, 1, 0, 0]);
    *after_fingerprint.get_mut(3).unwrap() += 4;
    let short_change = request(COOKIE_AND_ID, &[(0x0003, &[6])]);
    for message in [long, longer_attribute, after_fingerprint, short_change] {
        assert!(is_stun(&message));
        assert_eq!(Request::decode(&message).unwrap_err(), Ignored::Malformed);
    }
    assert!(Request::decode(&good).is_ok());
}

#[test]
fn other_messages_are_told_apart_and_ignored() {
    // A Binding indication, a success and an error response, an Allocate request of TURN.
    for kind in [[0x00, 0x11], [0x01, 0x01], [0x01, 0x11], [0x00, 0x03]] {
        let mut message = request(COOKIE_AND_ID, &[]);
        message.splice(0..2, kind);
        assert!(is_stun(&message));
        assert_eq!(Request::decode(&message).unwrap_err(), Ignored::NotARequest);
    }
    let mut channel_data = request(COOKIE_AND_ID, &[]);
    channel_data.splice(0..2, [0x40, 0x01]);
    assert!(!is_stun(&channel_data));
    channel_data.truncate(19);
    assert!(!is_stun(&channel_data));
    assert!(!is_stun(b"{\"type\":\"register\",\"more\":1}"));
}

fn any_addr() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port))
}

fn any_attributes() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
    let kind = prop_oneof![0..0x30_u16, 0x8000..0x8030_u16, any::<u16>()];
    prop::collection::vec((kind, prop::collection::vec(any::<u8>(), 0..9)), 0..8)
}

proptest! {
    #[test]
    fn no_datagram_panics(head in prop_oneof![Just(bytes(COOKIE_AND_ID)), Just(Vec::new())], tail in prop::collection::vec(any::<u8>(), 0..80)) {
        let datagram = [&[0, 1, 0, u8::try_from(tail.len()).unwrap()][..], &head, &tail].concat();
        let _ = is_stun(&datagram);
        if let Ok(request) = Request::decode(&datagram) {
            request.refuse(false, &mut Vec::new());
        }
    }

    #[test]
    fn a_mapped_address_comes_back_with_the_id(id in any::<[u8; 12]>(), mapped in any_addr(), print in any::<bool>(), before in prop::collection::vec(any::<u8>(), 0..50)) {
        let id = [&MAGIC_COOKIE[..], &id].concat();
        let bare = request_of(&id, &[]);
        let request = if print { with_fingerprint(bare) } else { bare };
        // Behind what is in the buffer already.
        let mut out = before.clone();
        Request::decode(&request).unwrap().succeed(&success(mapped), &mut out);
        let (old, new) = out.split_at(before.len());
        prop_assert_eq!(old, &before);
        let (kind, our_id, attributes) = read(new);
        prop_assert_eq!((kind, &our_id), (BINDING_SUCCESS, &id));
        prop_assert_eq!(address(value(&attributes, XOR_MAPPED_ADDRESS).unwrap(), &our_id), mapped);
        prop_assert_eq!(value(&attributes, FINGERPRINT).is_some(), print);
    }

    #[test]
    fn a_request_is_refused_with_what_it_has_and_we_do_not_know(attributes in any_attributes()) {
        let attributes: Vec<(u16, &[u8])> = attributes.iter().map(|(kind, value)| (*kind, &value[..])).collect();
        let message = request(COOKIE_AND_ID, &attributes);
        prop_assert!(is_stun(&message));
        let Ok(decoded) = Request::decode(&message) else {
            prop_assert!(attributes.iter().any(|(kind, _)| [0x0003, FINGERPRINT].contains(kind)));
            return Ok(());
        };
        let refused = refusal(&message, true);
        let (_, _, told) = read(&refused);
        let list = value(&told, UNKNOWN_ATTRIBUTES).unwrap();
        prop_assert_eq!(!list.is_empty(), decoded.has_unknown());
        for pair in list.chunks(2) {
            let kind = u16::from_be_bytes(pair.try_into().unwrap());
            prop_assert!(kind < 0x8000 && attributes.iter().any(|(other, _)| *other == kind));
        }
        // What is sent for a datagram has a bound that goes by it.
        prop_assert!(refused.len() <= message.len() + 48);
    }
}
