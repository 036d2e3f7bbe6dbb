//! STUN (RFC 8489), as far as a server needs it that tells whoever asks where it sees him: Binding requests in, answers
//! out, with what NAT behaviour discovery (RFC 5780) adds.
//!
//! A request borrows from its datagram and an answer is appended to a buffer, so that nothing is allocated once the buffer
//! has grown. Nothing is authenticated, as RFC 8489 has it for a server that anybody may ask: the attributes that would
//! are understood and passed over.
//!
//! A codec of our own, for these reasons. `stun_codec` (on `bytecodec`) and `stun-rs` make owned attributes out of every
//! message and allocate for them. `stun-types`, the best kept, borrows, but has no RFC 5780, writes each malformed
//! attribute of a stranger to the log, and brings HMAC, MD5, SHA-1, SHA-256 and a random source for credentials that a
//! Binding server never looks at. What is needed here is one method and a dozen attributes. A fuzz
//! target holds it against `stun-types`.
//!
//! # Requests without the magic cookie
//!
//! A client of RFC 3489 sends 16 bytes of its own where newer ones have the cookie and a transaction id of 12. It is
//! answered in its own words, as RFC 5389 section 12.2 asks: the 16 bytes come back, with MAPPED-ADDRESS in place of
//! XOR-MAPPED-ADDRESS, and SOURCE-ADDRESS and CHANGED-ADDRESS in place of RESPONSE-ORIGIN and OTHER-ADDRESS. To be taken
//! for one, a datagram has to begin with the type of a Binding request and a length that is its own.

mod answer;
mod attribute;
mod request;

pub use answer::{Discovery, Success};
pub use request::{Change, Ignored, Request};

/// Bytes of the header that every message has.
const HEADER_BYTES: usize = 20;
/// Bytes 4 to 8 of every message since RFC 5389.
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// A Binding request: method 1, class request.
const BINDING_REQUEST: u16 = 0x0001;
/// A Binding success response.
const BINDING_SUCCESS: u16 = 0x0101;
/// A Binding error response.
const BINDING_ERROR: u16 = 0x0111;

/// Whether a datagram is a STUN message and nothing else: its first two bits are zero and it has the magic cookie
/// (RFC 8489 section 6.3), or it is a Binding request of RFC 3489.
///
/// No JSON text is: the second byte of the cookie is a control character, which JSON has nowhere, and the type of a
/// Binding request begins with another.
pub fn is_stun(datagram: &[u8]) -> bool {
    let Some(([kind_high, kind_low, length_high, length_low, id @ ..], body)) =
        datagram.split_first_chunk::<HEADER_BYTES>()
    else {
        return false;
    };
    let kind = u16::from_be_bytes([*kind_high, *kind_low]);
    let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
    let is_classic = kind == BINDING_REQUEST && length == body.len() && length.is_multiple_of(4);
    kind_high >> 6 == 0 && (id.starts_with(&MAGIC_COOKIE) || is_classic)
}

/// The value of FINGERPRINT over all that stands before it (RFC 8489 section 14.7).
fn fingerprint(before: &[u8]) -> [u8; 4] {
    const XOR: u32 = 0x5354_554e;
    (crc32fast::hash(before) ^ XOR).to_be_bytes()
}

#[cfg(test)]
mod tests;
