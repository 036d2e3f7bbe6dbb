use std::fmt;
use std::str::FromStr;

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use subtle::ConstantTimeEq as _;

/// Shortest token, in characters: 16 random letters and digits are beyond guessing.
const LEAST_CHARS: usize = 16;
/// Longest token, in characters.
const MOST_CHARS: usize = 256;

/// What the operator of the service shows to be believed. Never printed.
#[derive(Clone)]
pub(crate) struct OperatorToken(Box<[u8]>);

impl OperatorToken {
    /// Whether a request shows it, as `Authorization: Bearer TOKEN` (RFC 6750 section 2.1). Only there: an address
    /// with a token in it ends up in logs and histories. The comparison takes as long whatever the first wrong
    /// character is.
    pub(crate) fn is_shown_by(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let shown = shown.and_then(|value| value.split_at_checked(b"Bearer ".len()));
        shown.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(token.trim_ascii().ct_eq(&self.0))
        })
    }
}

impl FromStr for OperatorToken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !(LEAST_CHARS..=MOST_CHARS).contains(&text.len()) {
            return Err(format!("a token has {LEAST_CHARS} to {MOST_CHARS} visible ASCII characters"));
        }
        Ok(Self(text.as_bytes().into()))
    }
}

impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorToken(***)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn the_token_counts_in_its_header_only_and_whole() {
        let token: OperatorToken = "correct-horse-battery".parse().unwrap();
        let shown = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            token.is_shown_by(&headers)
        };
        assert!(shown("Bearer correct-horse-battery"));
        assert!(shown("bearer  correct-horse-battery "));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer correct-horse-batter",
            "Bearer correct-horse-battery2",
            "Basic correct-horse-battery",
            "correct-horse-battery",
        ] {
            assert!(!shown(wrong), "{wrong:?}");
        }
        assert!(!token.is_shown_by(&HeaderMap::new()));
    }

    #[test]
    fn a_token_that_can_be_guessed_or_not_sent_is_refused_and_none_is_printed() {
        for bad in ["", "short", "0123456789abcde", "0123456789 abcdef", "0123456789abcdeü", &"x".repeat(257)]
        {
            assert!(bad.parse::<OperatorToken>().is_err(), "{bad:?}");
        }
        let token: OperatorToken = "0123456789abcdef".parse().unwrap();
        assert_eq!(format!("{token:?}"), "OperatorToken(***)");
    }
}
