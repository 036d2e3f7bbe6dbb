//! The STUN codec against another one: what it reads as a request the other does too, and what it writes the other reads
//! with the same meaning. No answer is larger than its request by more than a bound.
#![no_main]

use std::net::{IpAddr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use peer_core::stun::{Discovery, Ignored, Request, Success, is_stun};
use stun_types::attribute::{
    Attribute as _, AttributeStaticType as _, ErrorCode, Fingerprint, MessageIntegrity,
    MessageIntegritySha256, XorMappedAddress,
};
use stun_types::message::{BINDING, Message, MessageClass};

const HEADER_BYTES: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const CHANGE_REQUEST: u16 = 0x0003;
/// Header, ERROR-CODE with its text, an empty UNKNOWN-ATTRIBUTES and its padding, FINGERPRINT.
const REFUSAL_MOST_BYTES: usize = 20 + 28 + 4 + 2 + 8;
/// Header, four addresses of IPv6, FINGERPRINT.
const SUCCESS_MOST_BYTES: usize = 20 + 4 * 24 + 8;

fuzz_target!(|input: &[u8]| {
    let Some((how, rest)) = input.split_first() else { return };
    let datagram = made(*how, rest);
    let decoded = Request::decode(&datagram);
    let other = Message::from_bytes(&datagram);
    if !is_stun(&datagram) {
        return;
    }
    match decoded {
        Ok(request) if request.is_classic() => {
            assert!(other.is_err());
            write(&request, &datagram, None);
        }
        Ok(request) => {
            let other = other.expect("the other codec reads it too");
            assert!(is_request(&other));
            // The other codec does not see FINGERPRINT where something else stands between these and it.
            let ends = [MessageIntegrity::TYPE, MessageIntegritySha256::TYPE];
            let is_sure = !ends.iter().any(|kind| other.has_attribute(*kind));
            write(&request, &datagram, is_sure.then(|| other.has_attribute(Fingerprint::TYPE)));
        }
        Err(Ignored::NotARequest) => assert!(other.is_err() || other.is_ok_and(|other| !is_request(&other))),
        Err(Ignored::Malformed) => {
            let Ok(other) = other else { return };
            let ends = [Fingerprint::TYPE, MessageIntegrity::TYPE, MessageIntegritySha256::TYPE];
            let is_whole = other.iter_attributes().all(|(_, attribute)| {
                let kind = attribute.get_type();
                !ends.contains(&kind) && (kind.value() != CHANGE_REQUEST || attribute.length() == 4)
            });
            let [.., length_high, length_low] = datagram[..4] else { return };
            let length = usize::from(u16::from_be_bytes([length_high, length_low]));
            let fits = length + HEADER_BYTES == datagram.len() && length % 4 == 0;
            assert!(!is_whole || !fits || !is_request(&other), "{datagram:02x?}");
        }
    }
});

fn is_request(message: &Message<'_>) -> bool {
    message.has_class(MessageClass::Request) && message.method() == BINDING
}

/// The bytes as they are, or made to be a request: with the cookie, the length and FINGERPRINT of one.
fn made(how: u8, rest: &[u8]) -> Vec<u8> {
    let mut datagram = rest.to_vec();
    if datagram.len() < HEADER_BYTES {
        return datagram;
    }
    if how & 1 != 0 {
        datagram[..2].copy_from_slice(&[0, 1]);
    }
    if how & 2 != 0 {
        datagram[4..8].copy_from_slice(&COOKIE);
    }
    if how & 4 != 0 {
        datagram.truncate(HEADER_BYTES + (datagram.len() - HEADER_BYTES) / 4 * 4);
        let fingerprint_bytes = if how & 8 != 0 { 8 } else { 0 };
        let length = datagram.len() - HEADER_BYTES + fingerprint_bytes;
        datagram[2..4].copy_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        if how & 8 != 0 {
            let value = crc32fast::hash(&datagram) ^ 0x5354_554e;
            datagram.extend([0x80, 0x28, 0, 4]);
            datagram.extend(value.to_be_bytes());
        }
    }
    datagram
}

fn write(request: &Request<'_>, datagram: &[u8], with_fingerprint: Option<bool>) {
    let id = &datagram[4..HEADER_BYTES];
    let octets: [u8; 16] = id.try_into().expect("sixteen bytes");
    let port = u16::from_be_bytes([id[4], id[5]]);
    let v4: [u8; 4] = [id[6], id[7], id[8], id[9]];
    for ip in [IpAddr::from(octets), IpAddr::from(v4)] {
        let mapped = SocketAddr::new(ip.to_canonical(), port);
        for discovery in [None, Some(Discovery { origin: mapped, other: mapped })] {
            let mut out = Vec::new();
            request.succeed(&Success { mapped, discovery, software: None }, &mut out);
            assert!(out.len() <= SUCCESS_MOST_BYTES && out[4..HEADER_BYTES] == *id);
            if request.is_classic() {
                continue;
            }
            let message = Message::from_bytes(&out).expect("an answer is a message");
            assert!(message.has_class(MessageClass::Success) && message.method() == BINDING);
            let told = message.attribute::<XorMappedAddress>().expect("XOR-MAPPED-ADDRESS");
            assert_eq!(told.addr(message.transaction_id()), mapped);
            let has_fingerprint = message.has_attribute(Fingerprint::TYPE);
            assert_eq!(has_fingerprint, with_fingerprint.unwrap_or(has_fingerprint));
        }
    }
    for understands_change in [true, false] {
        let mut out = Vec::new();
        request.refuse(understands_change, &mut out);
        assert!(out.len() <= REFUSAL_MOST_BYTES + datagram.len() - HEADER_BYTES);
        if !request.is_classic() {
            let message = Message::from_bytes(&out).expect("a refusal is a message");
            assert!(message.has_class(MessageClass::Error));
            assert_eq!(message.attribute::<ErrorCode>().expect("ERROR-CODE").code(), 420);
        }
    }
}
