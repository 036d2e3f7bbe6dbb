use super::attribute::{
    Attributes, CHANGE_REQUEST, FINGERPRINT, FINGERPRINT_BYTES, MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256,
    is_unknown,
};
use super::{BINDING_REQUEST, HEADER_BYTES, MAGIC_COOKIE, fingerprint};

/// A Binding request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The magic cookie and the transaction id; of RFC 3489 a transaction id of that length.
    pub(super) id: [u8; 16],
    pub(super) has_fingerprint: bool,
    body: &'a [u8],
    has_unknown: bool,
    change: Option<Change>,
}

/// What CHANGE-REQUEST asks for (RFC 5780 section 7.2): that the answer comes from another address than the one asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// From the other IP address.
    pub ip: bool,
    /// From the other port.
    pub port: bool,
}

/// Why a STUN message gets no answer (RFC 8489 section 6.3 has both discarded in silence).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// An indication, a response, or of another method.
    #[error("of all STUN messages only Binding requests are answered")]
    NotARequest,
    /// Its lengths contradict each other, its FINGERPRINT is wrong or not the last attribute, or its CHANGE-REQUEST does
    /// not have four bytes.
    #[error("the message contradicts itself")]
    Malformed,
}

impl<'a> Request<'a> {
    /// Reads a datagram that [`super::is_stun`].
    pub fn decode(datagram: &'a [u8]) -> Result<Self, Ignored> {
        let ([kind_high, kind_low, length_high, length_low, id @ ..], body) =
            datagram.split_first_chunk::<HEADER_BYTES>().ok_or(Ignored::Malformed)?;
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        if length != body.len() || !length.is_multiple_of(4) {
            return Err(Ignored::Malformed);
        }
        if u16::from_be_bytes([*kind_high, *kind_low]) != BINDING_REQUEST {
            return Err(Ignored::NotARequest);
        }
        let mut request = Self { id: *id, has_fingerprint: false, body, has_unknown: false, change: None };
        request.read(datagram)?;
        Ok(request)
    }

    fn read(&mut self, datagram: &[u8]) -> Result<(), Ignored> {
        let mut attributes = Attributes::of(self.body);
        let mut is_over = false;
        while let Some(attribute) = attributes.next() {
            match attribute.kind {
                FINGERPRINT => {
                    let before = datagram.len().checked_sub(FINGERPRINT_BYTES);
                    let before = before.and_then(|bytes| datagram.get(..bytes)).ok_or(Ignored::Malformed)?;
                    if !attributes.rest().is_empty() || attribute.value != fingerprint(before) {
                        return Err(Ignored::Malformed);
                    }
                    self.has_fingerprint = true;
                }
                // What follows is not covered by it, and to be ignored but for these (RFC 8489 section 14.5).
                MESSAGE_INTEGRITY | MESSAGE_INTEGRITY_SHA256 => is_over = true,
                _ if is_over => {}
                // Where there are several of one type, the first counts (RFC 8489 section 14).
                CHANGE_REQUEST => {
                    let change = Change::decode(attribute.value)?;
                    self.change.get_or_insert(change);
                }
                kind => self.has_unknown |= is_unknown(kind),
            }
        }
        if attributes.rest().is_empty() { Ok(()) } else { Err(Ignored::Malformed) }
    }

    /// Whether it comes from a client of RFC 3489, which knows no magic cookie.
    pub fn is_classic(&self) -> bool {
        !self.id.starts_with(&MAGIC_COOKIE)
    }

    /// CHANGE-REQUEST, where there is one.
    pub fn change(&self) -> Option<Change> {
        self.change
    }

    /// Whether it has attributes that a server must know to answer it, and that this one does not: the answer is then
    /// [`Self::refuse`].
    pub fn has_unknown(&self) -> bool {
        self.has_unknown
    }

    /// The types of those, and of CHANGE-REQUEST where that is not understood.
    pub(super) fn unknown(&self, understands_change: bool) -> impl Iterator<Item = u16> + use<'a> {
        let kinds = Attributes::of(self.body).map(|attribute| attribute.kind);
        kinds
            .take_while(|kind| !matches!(*kind, MESSAGE_INTEGRITY | MESSAGE_INTEGRITY_SHA256))
            .filter(move |kind| is_unknown(*kind) || *kind == CHANGE_REQUEST && !understands_change)
    }
}

impl Change {
    fn decode(value: &[u8]) -> Result<Self, Ignored> {
        const IP: u8 = 4;
        const PORT: u8 = 2;
        let [_, _, _, flags] = value else { return Err(Ignored::Malformed) };
        Ok(Self { ip: flags & IP != 0, port: flags & PORT != 0 })
    }

    /// Whether it asks for anything.
    pub fn is_any(self) -> bool {
        self.ip || self.port
    }
}
