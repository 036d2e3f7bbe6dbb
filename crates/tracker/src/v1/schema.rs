//! What the description of the API says of values that are read by hand, and how numbers are read.

use serde::de::{Deserialize as _, Deserializer, Error as _};
use serde_json::Number;
use utoipa::ToSchema;

/// The name of a file.
#[derive(ToSchema)]
#[schema(
    value_type = String,
    min_length = 1,
    max_length = 1024,
    pattern = r"^(?!/)(?!(?:.*/)?\.{1,2}(?:/|$))[^\\\u0000-\u001f\u007f-\u009f]+$",
    example = "site/index.html"
)]
pub(crate) struct FileNameText(#[expect(dead_code, reason = "stands for its schema")] String);

/// An IPv4 or IPv6 address; the pattern is that of IPv4.
#[derive(ToSchema)]
#[schema(
    value_type = String,
    pattern = r"^(?:[1-9]|[1-9]\d|1\d\d|2[01]\d|22[0-3])(?:\.(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){3}$",
    example = "203.0.113.5"
)]
pub(crate) struct AddressText(#[expect(dead_code, reason = "stands for its schema")] String);

/// The id of a peer, an Ed25519 public key in base64url.
#[derive(ToSchema)]
#[schema(
    value_type = String,
    pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$",
    example = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"
)]
pub(crate) struct PeerIdText(#[expect(dead_code, reason = "stands for its schema")] String);

/// A whole number from 0 on. Some languages write `402.0` for it, which JSON Schema takes for whole too; what is larger than
/// fits is the largest that does.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    let float = || number.as_f64().filter(|float| float.fract() == 0.0 && *float >= 0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole and not negative; the cast stops at the largest"
    )]
    let whole = number.as_u64().or_else(|| float().map(|float| float as u64));
    whole.map(Some).ok_or_else(|| D::Error::custom("a whole number from 0 on is wanted"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot read its own sample has failed")]

    use super::*;

    #[test]
    fn a_whole_number_may_be_written_as_a_float() {
        let read = |text: &str| whole(&mut serde_json::Deserializer::from_str(text)).ok();
        assert_eq!(read("402"), Some(Some(402)));
        assert_eq!(read("402.0"), Some(Some(402)));
        assert_eq!(read("-0.0"), Some(Some(0)));
        assert_eq!(read("null"), Some(None));
        assert_eq!(read("18446744073709551615"), Some(Some(u64::MAX)));
        assert_eq!(read("1e300"), Some(Some(u64::MAX)));
        for refused in ["-1", "402.5", "\"402\"", "true", "[]"] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }
}
