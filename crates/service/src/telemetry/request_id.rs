//! Which request a line is about.

use std::future::Future;

use actix_web::http::header::{HeaderName, HeaderValue};

/// The header that brings a request's id from a proxy, and takes it back to who asked.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken from a proxy, in bytes: a UUID has 36.
const MAX_BYTES: usize = 64;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// Tells a request from others in the log. It is no secret and nothing is granted by it.
#[derive(Debug, Clone)]
pub struct RequestId(Text);

/// One of our own needs no memory that has to be shared and given back.
#[derive(Debug, Clone)]
enum Text {
    Made([u8; 16]),
    Taken(HeaderValue),
}

impl RequestId {
    /// One that no other request has, as far as chance goes: 64 random bits as 16 hex digits.
    pub fn random() -> Self {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut bits = fastrand::u64(..);
        Self(Text::Made(std::array::from_fn(|_| {
            bits = bits.rotate_left(4);
            DIGITS.get((bits & 0xf) as usize).copied().unwrap_or(b'0')
        })))
    }

    /// What another program calls it: 1 to 64 letters, digits and `. _ : -`, so that no line can be broken by it. `None` for
    /// anything else.
    pub fn taken(value: &HeaderValue) -> Option<Self> {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:-".contains(byte);
        let text = value.as_bytes();
        ((1..=MAX_BYTES).contains(&text.len()) && text.iter().all(is_plain))
            .then(|| Self(Text::Taken(value.clone())))
    }

    /// As the value of [`X_REQUEST_ID`].
    pub fn header(&self) -> HeaderValue {
        match &self.0 {
            // Digits are allowed in a header.
            Text::Made(digits) => {
                HeaderValue::from_bytes(digits).unwrap_or(const { HeaderValue::from_static("0") })
            }
            Text::Taken(value) => value.clone(),
        }
    }

    /// Runs `future` so that every line it logs bears this id.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// The id of the request that is being served here, if one is.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    pub(super) fn text(&self) -> &str {
        match &self.0 {
            Text::Made(digits) => std::str::from_utf8(digits).unwrap_or_default(),
            Text::Taken(value) => value.to_str().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_break_a_line_is_taken() {
        let taken = |text: &str| {
            HeaderValue::from_str(text).ok().and_then(|value| RequestId::taken(&value)).is_some()
        };
        let uuid = "0c4cbd0e-1fc1-4a05-9a2b-8d3a31b65a9b";
        assert!(taken(uuid) && taken("7d8b1f2a9c3e-FRA") && taken("a") && taken(&"x".repeat(64)));
        for text in ["", "a b", "\"", "a\"}", "a=b", "\u{e4}", &"x".repeat(65)] {
            assert!(!taken(text), "{text:?}");
        }
    }

    #[test]
    fn made_ones_differ_and_could_be_taken() {
        let (one, two) = (RequestId::random(), RequestId::random());
        assert_ne!(one.text(), two.text());
        assert_eq!(
            (one.text().len(), RequestId::taken(&one.header()).map(|it| it.text().to_owned())),
            (16, Some(one.text().to_owned()))
        );
    }
}
