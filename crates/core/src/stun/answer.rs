use std::net::{IpAddr, SocketAddr};

use super::attribute::{
    CHANGED_ADDRESS, ERROR_CODE, FINGERPRINT, FINGERPRINT_BYTES, MAPPED_ADDRESS, OTHER_ADDRESS,
    RESPONSE_ORIGIN, SOFTWARE, SOURCE_ADDRESS, UNKNOWN_ATTRIBUTES, XOR_MAPPED_ADDRESS,
};
use super::{BINDING_ERROR, BINDING_SUCCESS, HEADER_BYTES, Request, fingerprint};

/// What a Binding request is told.
#[derive(Debug, Clone, Copy)]
pub struct Success<'a> {
    /// Where the request came from. An IPv4 address in IPv6 form is told as an IPv4 address.
    pub mapped: SocketAddr,
    /// Where this server has a second address and port.
    pub discovery: Option<Discovery>,
    /// SOFTWARE, 763 bytes at most.
    pub software: Option<&'a str>,
}

/// The addresses of ours that NAT behaviour discovery (RFC 5780) goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discovery {
    /// RESPONSE-ORIGIN: from where the answer is sent.
    pub origin: SocketAddr,
    /// OTHER-ADDRESS: the other address and the other port than those which were asked.
    pub other: SocketAddr,
}

/// Longest SOFTWARE, in bytes (RFC 8489 section 14.14).
const SOFTWARE_MAX_BYTES: usize = 763;

impl Request<'_> {
    /// Appends the answer to `out`. It has FINGERPRINT where the request had it.
    pub fn succeed(&self, success: &Success<'_>, out: &mut Vec<u8>) {
        let mut writer = Writer::begin(out, BINDING_SUCCESS, self.id);
        let classic = self.is_classic();
        if !classic {
            writer.address(XOR_MAPPED_ADDRESS, success.mapped, Some(&self.id));
        }
        // A server with a second address is to send both (RFC 5780 section 6.1).
        if classic || success.discovery.is_some() {
            writer.address(MAPPED_ADDRESS, success.mapped, None);
        }
        if let Some(Discovery { origin, other }) = success.discovery {
            let (origin_kind, other_kind) =
                if classic { (SOURCE_ADDRESS, CHANGED_ADDRESS) } else { (RESPONSE_ORIGIN, OTHER_ADDRESS) };
            writer.address(origin_kind, origin, None);
            writer.address(other_kind, other, None);
        }
        if let Some(software) = success.software.filter(|text| text.len() <= SOFTWARE_MAX_BYTES) {
            writer.attribute(SOFTWARE, software.as_bytes());
        }
        writer.finish(self.has_fingerprint);
    }

    /// Appends the answer to a request with attributes that are not understood to `out`: 420 with their types
    /// (RFC 8489 section 6.3.1). Where there is no second address, CHANGE-REQUEST is one of them (RFC 5780
    /// section 6.1).
    pub fn refuse(&self, understands_change: bool, out: &mut Vec<u8>) {
        const CODE: &[u8] = b"\0\0\x04\x14Unknown Attribute";
        let mut writer = Writer::begin(out, BINDING_ERROR, self.id);
        writer.attribute(ERROR_CODE, CODE);
        // A type takes two bytes here and took four at least in the request, so that this needs no bound of its own.
        let is_odd = !self.unknown(understands_change).count().is_multiple_of(2);
        // RFC 3489 fills an odd list up with a type that is in it; its attributes have no padding.
        let again = self.unknown(understands_change).filter(|_| is_odd && self.is_classic()).take(1);
        writer.list(UNKNOWN_ATTRIBUTES, self.unknown(understands_change).chain(again));
        writer.finish(self.has_fingerprint);
    }
}

/// Appends one message to a buffer.
struct Writer<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

impl<'o> Writer<'o> {
    fn begin(out: &'o mut Vec<u8>, kind: u16, id: [u8; 16]) -> Self {
        let start = out.len();
        out.extend_from_slice(&kind.to_be_bytes());
        // The length comes with the end.
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&id);
        Self { out, start }
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.out.extend_from_slice(&kind.to_be_bytes());
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(value);
        self.pad();
    }

    /// An attribute of the form of MAPPED-ADDRESS (RFC 8489 section 14.1), or of XOR-MAPPED-ADDRESS (section 14.2) with
    /// what to combine it with.
    fn address(&mut self, kind: u16, addr: SocketAddr, mask: Option<&[u8; 16]>) {
        const IPV4: u8 = 1;
        const IPV6: u8 = 2;
        let mask = mask.copied().unwrap_or_default();
        let masked = |bytes: &mut [u8]| bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        let mut port = addr.port().to_be_bytes();
        masked(&mut port);
        let [port_high, port_low] = port;
        match addr.ip().to_canonical() {
            IpAddr::V4(ip) => {
                let mut octets = ip.octets();
                masked(&mut octets);
                let [first, second, third, fourth] = octets;
                self.attribute(kind, &[0, IPV4, port_high, port_low, first, second, third, fourth]);
            }
            IpAddr::V6(ip) => {
                let mut value = [0; 20];
                let (head, octets) = value.split_at_mut(4);
                head.copy_from_slice(&[0, IPV6, port_high, port_low]);
                octets.copy_from_slice(&ip.octets());
                masked(octets);
                self.attribute(kind, &value);
            }
        }
    }

    fn list(&mut self, kind: u16, numbers: impl Iterator<Item = u16>) {
        let start = self.out.len();
        self.attribute(kind, &[]);
        let value = self.out.len();
        for number in numbers {
            self.out.extend_from_slice(&number.to_be_bytes());
        }
        self.set_length(start, self.out.len() - value);
        self.pad();
    }

    fn pad(&mut self) {
        let message = self.out.len() - self.start;
        self.out.resize(self.start + message.next_multiple_of(4), 0);
    }

    /// Sets the length in the header of a message or attribute that begins at `at`.
    fn set_length(&mut self, at: usize, length: usize) {
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        if let Some(field) = self.out.get_mut(at + 2..at + 4) {
            field.copy_from_slice(&length.to_be_bytes());
        }
    }

    fn finish(mut self, with_fingerprint: bool) {
        let fingerprint_bytes = if with_fingerprint { FINGERPRINT_BYTES } else { 0 };
        // The length that goes into FINGERPRINT counts it too.
        let length = self.out.len() - self.start - HEADER_BYTES + fingerprint_bytes;
        self.set_length(self.start, length);
        if with_fingerprint {
            let value = fingerprint(self.out.get(self.start..).unwrap_or_default());
            self.attribute(FINGERPRINT, &value);
        }
    }
}
