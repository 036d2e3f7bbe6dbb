//! Tokens that serve once.

use std::collections::VecDeque;
use std::hash::RandomState;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// Most tokens that are remembered, in tokens: about 100 MiB, and more than a machine of our kind can verify signatures
/// in two minutes.
const TOKENS_MAX: usize = 1_000_000;
/// Tokens that are forgotten with each new one, in tokens, so that they go faster than they come.
const FORGET: usize = 4;

/// A token and until when it is remembered, in ms since 1970.
pub(super) type Token = [u8; 32];

/// A token was used for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenUse {
    pub(super) token: Token,
    /// Until when it is remembered, in ms since 1970.
    pub(super) until_ms: u64,
    /// Tokens that are remembered no more.
    pub(super) forgotten: Vec<Token>,
}

/// Why a token is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It was used before.
    Used,
    /// There are [`TOKENS_MAX`].
    Full,
}

/// The tokens that were used lately. Plain data; the time is handed in.
#[derive(Default)]
pub(super) struct Tokens {
    until_ms: HashMap<Token, u64, RandomState>,
    /// In the order in which they came, which is the order in which they expire where all are remembered for as long.
    order: VecDeque<Token>,
}

impl Tokens {
    /// Uses a token, to be remembered for `secs` seconds.
    pub(super) fn first_use(&mut self, token: Token, secs: u32, now_ms: u64) -> Result<TokenUse, Refused> {
        if self.until_ms.get(&token).is_some_and(|until_ms| now_ms < *until_ms) {
            return Err(Refused::Used);
        }
        // Where this makes room for the new one there is room for it: what is forgotten here is never lost.
        let forgotten = self.forget(FORGET, now_ms);
        let until_ms = now_ms.saturating_add(u64::from(secs) * 1_000);
        self.restore(token, until_ms, now_ms)?;
        Ok(TokenUse { token, until_ms, forgotten })
    }

    /// Takes in a token that was used.
    pub(super) fn restore(&mut self, token: Token, until_ms: u64, now_ms: u64) -> Result<(), Refused> {
        let full = self.order.len() >= TOKENS_MAX;
        match self.until_ms.entry(token) {
            Entry::Occupied(known) if now_ms < *known.get() => Err(Refused::Used),
            Entry::Occupied(mut known) => {
                // Its place in the order stays: when that comes up it is looked at again.
                known.insert(until_ms);
                Ok(())
            }
            Entry::Vacant(_) if full => Err(Refused::Full),
            Entry::Vacant(place) => {
                place.insert(until_ms);
                self.order.push_back(token);
                Ok(())
            }
        }
    }

    /// Forgets up to `most` tokens whose time is over, and gives them.
    pub(super) fn forget(&mut self, most: usize, now_ms: u64) -> Vec<Token> {
        let mut forgotten = Vec::new();
        for _ in 0..most {
            let Some(token) = self.order.front() else { break };
            if self.until_ms.get(token).is_some_and(|until_ms| now_ms < *until_ms) {
                break;
            }
            let Some(token) = self.order.pop_front() else { break };
            self.until_ms.remove(&token);
            forgotten.push(token);
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(number: u32) -> Token {
        let mut token = [7; 32];
        let (start, _) = token.split_at_mut(4);
        start.copy_from_slice(&number.to_be_bytes());
        token
    }

    #[test]
    fn a_token_serves_once_until_its_time_is_over() {
        let mut tokens = Tokens::default();
        assert_eq!(tokens.first_use(token(1), 60, 1_000).map(|it| it.until_ms), Ok(61_000));
        assert_eq!(tokens.first_use(token(1), 60, 1_000), Err(Refused::Used));
        assert!(tokens.first_use(token(2), 60, 1_000).is_ok());
        assert_eq!(tokens.first_use(token(1), 60, 60_999), Err(Refused::Used));
        let again = tokens.first_use(token(1), 60, 61_000);
        assert_eq!(again.map(|it| it.forgotten), Ok(vec![token(1), token(2)]));
        assert_eq!(tokens.first_use(token(1), 60, 61_001), Err(Refused::Used));
    }

    #[test]
    fn one_that_is_behind_a_longer_one_serves_again_all_the_same() {
        let mut tokens = Tokens::default();
        assert!(tokens.first_use(token(1), 600, 0).is_ok());
        assert!(tokens.first_use(token(2), 1, 0).is_ok());
        assert!(tokens.first_use(token(2), 1, 1_000).is_ok());
        assert_eq!(tokens.first_use(token(2), 1, 1_001), Err(Refused::Used));
        assert_eq!(tokens.forget(10, 600_000), [token(1), token(2)]);
        assert_eq!((tokens.until_ms.len(), tokens.order.len()), (0, 0));
    }

    #[test]
    fn they_are_bounded_and_full_is_said_not_believed() {
        let mut tokens = Tokens::default();
        for number in 0..1_000_000 {
            assert!(tokens.first_use(token(number), 60, 0).is_ok());
        }
        assert_eq!(tokens.first_use(token(1_000_000), 60, 0), Err(Refused::Full));
        assert_eq!(tokens.first_use(token(3), 60, 0), Err(Refused::Used));
        assert!(tokens.first_use(token(1_000_000), 60, 60_000).is_ok());
        assert_eq!(tokens.order.len(), 1_000_000 - FORGET + 1);
    }
}
