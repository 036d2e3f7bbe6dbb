use std::fmt;
use std::str::FromStr;

use crate::Invalid;
use crate::limits::CONTENT_HASH_MAX_CHARS;

/// The hash of its content that a peer claims for a file, as the text it was given in.
///
/// 1 to 128 of `A-Z a-z 0-9 + / = _ : . -`: hex, base64, multibase and `sha256:…` all fit. The server compares
/// it as text and never computes it, since it never sees the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentHash(Box<str>);

impl ContentHash {
    /// The hash as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContentHash {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::HashEmpty);
        }
        if text.len() > CONTENT_HASH_MAX_CHARS {
            return Err(Invalid::HashTooLong { chars: text.chars().count() });
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_:.-".contains(&byte);
        if !text.bytes().all(allowed) {
            return Err(Invalid::HashCharacter);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_base64_and_prefixed_hashes_are_taken() {
        for hash in
            ["d41d8cd98f00b204e9800998ecf8427e", "1B2M2Y8AsgTpgAmY7PhCfg==", "sha256:ab_c-d.e", "a+/=", "0"]
        {
            assert_eq!(hash.parse::<ContentHash>().map(|hash| hash.to_string()), Ok(hash.to_owned()));
        }
        assert!("f".repeat(128).parse::<ContentHash>().is_ok());
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        assert_eq!("".parse::<ContentHash>(), Err(Invalid::HashEmpty));
        assert_eq!("f".repeat(129).parse::<ContentHash>(), Err(Invalid::HashTooLong { chars: 129 }));
        assert_eq!("x".repeat(10_240).parse::<ContentHash>(), Err(Invalid::HashTooLong { chars: 10_240 }));
        for hash in ["a b", "a\n", "ü", "a'b", "a\0"] {
            assert_eq!(hash.parse::<ContentHash>(), Err(Invalid::HashCharacter), "{hash:?}");
        }
    }
}
