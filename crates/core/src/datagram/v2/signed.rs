use std::io::Write as _;
use std::net::SocketAddr;

use super::Token;

/// First line of what is signed: a signature that was made for anything else says nothing here.
const CONTEXT: &str = "peer-matchmaker-v2";
/// The words, the longest address (`[39 characters]:65535`), and line feeds.
const MAX_BYTES: usize = CONTEXT.len() + "register".len() + Token::CHARS + 47 + 3;

/// What the holder of an id signs to register: four lines, joined by one line feed each, without one at the end.
///
/// ```text
/// peer-matchmaker-v2
/// register
/// <token>
/// <address>
/// ```
///
/// The address is the one that the server sees, `203.0.113.21:41001` or `[2001:db8::5]:41001` (RFC 5952 section 6). The
/// server made the token for this address at this time, so that the signature serves nowhere else and at no other time.
#[derive(Debug, Clone, Copy)]
pub struct SignedText {
    bytes: [u8; MAX_BYTES],
    len: usize,
}

impl SignedText {
    /// For a registration at `addr`, in canonical form, with `token`.
    pub fn of_register(token: Token, addr: SocketAddr) -> Self {
        let mut bytes = [0; MAX_BYTES];
        let mut rest = bytes.as_mut_slice();
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        // It fits: that is what the length is for.
        let _ = write!(rest, "{CONTEXT}\nregister\n");
        let _ = rest.write_all(&token.text());
        let _ = write!(rest, "\n{addr}");
        let len = MAX_BYTES - rest.len();
        Self { bytes, len }
    }

    /// The bytes to be signed.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn the_text_is_as_documented() {
        let text = |addr: &str| {
            let token = Token::from_bytes(std::array::from_fn(|index| u8::try_from(index).unwrap()));
            let text = SignedText::of_register(token, addr.parse().unwrap());
            String::from_utf8(text.as_bytes().to_vec()).unwrap()
        };
        let head = "peer-matchmaker-v2\nregister\nAAECAwQFBgcICQoLDA0ODw\n";
        for (addr, last) in [
            ("203.0.113.21:41001", "203.0.113.21:41001"),
            ("[::ffff:203.0.113.21]:41001", "203.0.113.21:41001"),
            ("[2001:DB8::5]:9", "[2001:db8::5]:9"),
            (
                "[2001:1111:2222:3333:4444:5555:6666:7777]:65535",
                "[2001:1111:2222:3333:4444:5555:6666:7777]:65535",
            ),
        ] {
            assert_eq!(text(addr), format!("{head}{last}"));
        }
    }
}
