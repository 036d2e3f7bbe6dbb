use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use parking_lot::RwLock;
use peer_core::PeerId;
use peer_core::datagram::v2::{PairId, PunchKey, Token};
use peer_core::limits::V2_TOKEN_TTL_MS;
use siphasher::sip128::SipHasher24;
use subtle::ConstantTimeEq as _;

/// Size of a key, in bytes.
const KEY_BYTES: usize = 16;
/// Bytes of a token that say when it was made, in milliseconds since 1970: until the year 10889.
const TIME_BYTES: usize = 6;
/// Bytes of the hash in a token. Whoever wants to guess one sends 2^79 datagrams.
const MAC_BYTES: usize = Token::BYTES - TIME_BYTES;
/// How far in the future a token may be made, in milliseconds: nodes that share a key have clocks of their own.
const CLOCK_SKEW_MS: u64 = 2_000;

/// Keys besides the current one: the one before it, the one after it, and the one that a node had before it met others.
const ACCEPTED_MAX: usize = 3;

/// What is hashed, so that no hash is mistaken for another.
const OF_TOKEN: u8 = 1;
const OF_TOKEN_WITH_ID: u8 = 2;
const OF_PAIR: u8 = 3;
const OF_PUNCH_KEY: u8 = 4;

/// The secrets that tokens are made with: 16 bytes, and those before them.
///
/// As text, 32 hex digits, and after a comma those of the key before. To change a key without a token being refused, give
/// all nodes `NEW,OLD`, and three minutes later `NEW`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenKeys {
    current: [u8; KEY_BYTES],
    /// Others whose tokens are good as well.
    accepted: [Option<[u8; KEY_BYTES]>; ACCEPTED_MAX],
}

impl TokenKeys {
    /// With one key.
    pub fn new(current: [u8; KEY_BYTES]) -> Self {
        Self { current, accepted: [None; ACCEPTED_MAX] }
    }

    /// The same, with tokens of these keys being good as well.
    #[must_use]
    pub fn accepting(self, accepted: [Option<[u8; KEY_BYTES]>; ACCEPTED_MAX]) -> Self {
        Self { accepted, ..self }
    }

    /// What tokens are made with.
    pub fn current(&self) -> [u8; KEY_BYTES] {
        self.current
    }

    /// A key that nobody knows, for a server that is alone: what it gave to peers before a restart is forgotten.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key)?;
        Ok(Self::new(key))
    }
}

impl FromStr for TokenKeys {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ALLOWED: &str = "a key of 32 hex digits, and after a comma the one before it";
        let key = |text: &str| {
            let text = text.trim();
            let digits = text.len() == 2 * KEY_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let key = u128::from_str_radix(text, 16).ok().filter(|_| digits)?;
            Some(key.to_be_bytes())
        };
        let (current, previous) =
            text.split_once(',').map_or((text, None), |(current, previous)| (current, Some(previous)));
        let current = key(current).ok_or(ALLOWED)?;
        let previous = previous.map(|previous| key(previous).ok_or(ALLOWED)).transpose()?;
        Ok(Self::new(current).accepting([previous, None, None]))
    }
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKeys(…)")
    }
}

/// Makes tokens and knows its own again, without keeping any.
///
/// A token is its time and the first 80 bits of the `SipHash`-2-4 of time, address and, where the address has shown that it
/// holds an id, that id. `SipHash` is made for this: short inputs, hashed often, that a stranger chooses (Aumasson and
/// Bernstein, 2012).
#[derive(Debug)]
pub(super) struct Tokens {
    keys: RwLock<TokenKeys>,
    /// The time when the engine's clock began, in milliseconds since 1970.
    epoch_ms: u64,
}

impl Tokens {
    pub(super) fn new(keys: TokenKeys, epoch_ms: u64) -> Self {
        Self { keys: RwLock::new(keys), epoch_ms }
    }

    pub(super) fn set_keys(&self, keys: TokenKeys) {
        *self.keys.write() = keys;
    }

    /// A token for `addr`, which holds `id` where there is one.
    pub(super) fn issue(&self, now_us: u64, addr: SocketAddr, id: Option<PeerId>) -> Token {
        let time = self.now_ms(now_us).to_be_bytes();
        let mut token = [0; Token::BYTES];
        for (place, byte) in token.iter_mut().zip(time.iter().skip(8 - TIME_BYTES)) {
            *place = *byte;
        }
        let mac = mac(&self.current(), &token, addr, id);
        for (place, byte) in token.iter_mut().skip(TIME_BYTES).zip(mac) {
            *place = byte;
        }
        Token::from_bytes(token)
    }

    /// When `token` was made for `addr` and `id`, in milliseconds since 1970; `None` where it was not, or too long ago.
    pub(super) fn issued_ms(
        &self,
        now_us: u64,
        token: Token,
        addr: SocketAddr,
        id: Option<PeerId>,
    ) -> Option<u64> {
        let bytes = token.to_bytes();
        let issued_ms = bytes.iter().take(TIME_BYTES).fold(0, |time, byte| time << 8 | u64::from(*byte));
        let time_ms = self.now_ms(now_us);
        if issued_ms > time_ms + CLOCK_SKEW_MS || time_ms.saturating_sub(issued_ms) >= V2_TOKEN_TTL_MS {
            return None;
        }
        let given = bytes.get(TIME_BYTES..)?;
        let keys = self.keys.read();
        let made_by = |key: &[u8; KEY_BYTES]| bool::from(mac(key, &bytes, addr, id).ct_eq(given));
        let is_ours = made_by(&keys.current) || keys.accepted.iter().flatten().any(made_by);
        is_ours.then_some(issued_ms)
    }

    /// Milliseconds since `issued_ms`.
    pub(super) fn age_ms(&self, now_us: u64, issued_ms: u64) -> u64 {
        self.now_ms(now_us).saturating_sub(issued_ms)
    }

    /// The number and the key of pair number `count` since the start, which nobody can guess.
    pub(super) fn pair(&self, now_us: u64, count: u64) -> (PairId, PunchKey) {
        let key = self.current();
        let hash = |kind| {
            let mut text = Text::new(kind);
            text.push(&self.epoch_ms.to_be_bytes());
            text.push(&now_us.to_be_bytes());
            text.push(&count.to_be_bytes());
            text.hash(&key)
        };
        let bits = hash(OF_PAIR).iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        let pair = PairId::from_bits(bits);
        (pair, PunchKey::from_bytes(hash(OF_PUNCH_KEY)))
    }

    fn current(&self) -> [u8; KEY_BYTES] {
        self.keys.read().current
    }

    fn now_ms(&self, now_us: u64) -> u64 {
        self.epoch_ms.saturating_add(now_us / 1_000)
    }
}

fn mac(
    key: &[u8; KEY_BYTES],
    token: &[u8; Token::BYTES],
    addr: SocketAddr,
    id: Option<PeerId>,
) -> [u8; MAC_BYTES] {
    let mut text = Text::new(if id.is_some() { OF_TOKEN_WITH_ID } else { OF_TOKEN });
    let [time @ .., _, _, _, _, _, _, _, _, _, _] = token;
    text.push(time);
    let ip = match addr.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    text.push(&ip.octets());
    text.push(&addr.port().to_be_bytes());
    if let Some(id) = id {
        text.push(&id.to_bytes());
    }
    let [_, _, _, _, _, _, mac @ ..] = text.hash(key);
    mac
}

/// What is hashed, of one kind; all of a kind has one length. It is hashed in one piece, which costs half of doing so in five.
struct Text {
    bytes: [u8; Self::MOST_BYTES],
    len: usize,
}

impl Text {
    /// A kind, a time, an address and an id.
    const MOST_BYTES: usize = 1 + TIME_BYTES + 16 + 2 + PeerId::BYTES;

    fn new(kind: u8) -> Self {
        let mut text = Self { bytes: [0; Self::MOST_BYTES], len: 0 };
        text.push(&[kind]);
        text
    }

    fn push(&mut self, bytes: &[u8]) {
        // It fits: that is what the length is for.
        if let Some(place) = self.bytes.get_mut(self.len..self.len + bytes.len()) {
            place.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    fn hash(&self, key: &[u8; KEY_BYTES]) -> [u8; 16] {
        SipHasher24::new_with_key(key).hash(self.bytes.get(..self.len).unwrap_or_default()).as_bytes()
    }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
