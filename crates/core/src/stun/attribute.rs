//! Attributes: a type of 16 bits, a length of 16 bits, a value that is padded to a multiple of four bytes (RFC 8489
//! section 14).

pub(super) const MAPPED_ADDRESS: u16 = 0x0001;
/// RFC 3489, and again RFC 5780.
pub(super) const CHANGE_REQUEST: u16 = 0x0003;
/// RFC 3489; RESPONSE-ORIGIN since.
pub(super) const SOURCE_ADDRESS: u16 = 0x0004;
/// RFC 3489; OTHER-ADDRESS since.
pub(super) const CHANGED_ADDRESS: u16 = 0x0005;
const USERNAME: u16 = 0x0006;
pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
pub(super) const ERROR_CODE: u16 = 0x0009;
pub(super) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
pub(super) const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
const PASSWORD_ALGORITHM: u16 = 0x001d;
const USERHASH: u16 = 0x001e;
pub(super) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
pub(super) const SOFTWARE: u16 = 0x8022;
pub(super) const FINGERPRINT: u16 = 0x8028;
pub(super) const RESPONSE_ORIGIN: u16 = 0x802b;
pub(super) const OTHER_ADDRESS: u16 = 0x802c;

/// Bytes of FINGERPRINT with its header.
pub(super) const FINGERPRINT_BYTES: usize = 8;

/// Types from here on may be passed over by who does not know them.
const FIRST_OPTIONAL: u16 = 0x8000;

/// Whether a request with such an attribute has to be refused, since it asks for something that we do not know. RESPONSE-PORT
/// and PADDING of RFC 5780 are among them, and RESPONSE-ADDRESS of RFC 3489: with them a forged request would choose
/// where an answer goes, or how large it is.
pub(super) fn is_unknown(kind: u16) -> bool {
    kind < FIRST_OPTIONAL
        && !matches!(
            kind,
            CHANGE_REQUEST
                // Known, and of no use to a server that asks for no credentials.
                | USERNAME
                | MESSAGE_INTEGRITY
                | REALM
                | NONCE
                | MESSAGE_INTEGRITY_SHA256
                | PASSWORD_ALGORITHM
                | USERHASH
                // Known, and not expected in a request: to be ignored (RFC 8489 section 6.3).
                | MAPPED_ADDRESS
                | ERROR_CODE
                | UNKNOWN_ATTRIBUTES
                | XOR_MAPPED_ADDRESS
        )
}

/// An attribute of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    pub(super) kind: u16,
    /// Without padding.
    pub(super) value: &'a [u8],
}

/// The attributes of a message, in order. Ends early where one is longer than what is left.
#[derive(Debug, Clone)]
pub(super) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Those in the body of a message.
    pub(super) fn of(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// What was not read yet, or could not be.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let ([kind_high, kind_low, length_high, length_low], behind) = self.rest.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let value = behind.get(..length)?;
        self.rest = behind.get(length.next_multiple_of(4)..)?;
        Some(Attribute { kind: u16::from_be_bytes([*kind_high, *kind_low]), value })
    }
}
