use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::limits::DATAGRAM_MAX_BYTES;

/// What a well-formed datagram asks for. Well-formed is any JSON object of at most [`DATAGRAM_MAX_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// `{"type":"register"}`: remember the sender, tell it its address.
    Register,
    /// `{"type":"connect","target_ip":"…"}`: tell the sender and the target of each other.
    Connect {
        /// The target as it was written; it comes back in the error message.
        target: Cow<'a, str>,
    },
    /// A connect whose `target_ip` is missing, `null` or empty.
    ConnectWithoutTarget,
    /// `{"type":"error", …}`: what a server says, and no client.
    Error,
    /// An object of another type, or of none.
    Unknown,
}

/// Why a datagram gets no answer. The order is that of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Larger than [`DATAGRAM_MAX_BYTES`].
    #[error("a datagram has at most {DATAGRAM_MAX_BYTES} bytes")]
    TooLarge,
    /// No JSON object in UTF-8, one that names `type` or `target_ip` twice, or a `target_ip` that is no text.
    #[error("a datagram is one JSON object in UTF-8, its type and target_ip texts that occur once")]
    NotARequest,
}

impl<'a> Request<'a> {
    /// Reads one datagram.
    ///
    /// Unknown keys are skipped, whatever they hold. A key of ours that occurs twice makes the datagram
    /// malformed: two readers could understand it in two ways.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, Malformed> {
        if datagram.len() > DATAGRAM_MAX_BYTES {
            return Err(Malformed::TooLarge);
        }
        let mut json = serde_json::Deserializer::from_slice(datagram);
        let fields = json.deserialize_map(FieldsVisitor).map_err(|_| Malformed::NotARequest)?;
        json.end().map_err(|_| Malformed::NotARequest)?;
        fields.into_request()
    }
}

/// The two keys that the legacy contract reads.
#[derive(Default)]
struct Fields<'a> {
    kind: Option<Value<'a>>,
    target: Option<Value<'a>>,
}

impl<'a> Fields<'a> {
    fn into_request(self) -> Result<Request<'a>, Malformed> {
        match self.kind {
            Some(Value::Text(kind)) if kind == "register" => Ok(Request::Register),
            Some(Value::Text(kind)) if kind == "connect" => match self.target {
                None | Some(Value::Null) => Ok(Request::ConnectWithoutTarget),
                Some(Value::Text(target)) if target.is_empty() => Ok(Request::ConnectWithoutTarget),
                Some(Value::Text(target)) => Ok(Request::Connect { target }),
                Some(Value::Other) => Err(Malformed::NotARequest),
            },
            Some(Value::Text(kind)) if kind == "error" => Ok(Request::Error),
            _ => Ok(Request::Unknown),
        }
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<Key>()? {
            let slot = match key {
                Key::Kind => &mut fields.kind,
                Key::Target => &mut fields.target,
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if slot.replace(map.next_value()?).is_some() {
                return Err(A::Error::custom("a key occurs twice"));
            }
        }
        Ok(fields)
    }
}

enum Key {
    Kind,
    Target,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E: Error>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    "type" => Key::Kind,
                    "target_ip" => Key::Target,
                    _ => Key::Other,
                })
            }
        }

        deserializer.deserialize_identifier(KeyVisitor)
    }
}

/// A value of one of our keys: the contract knows text only, and an answer to a number differs from one to `null`.
enum Value<'a> {
    Text(Cow<'a, str>),
    Null,
    Other,
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn connect(target: &str) -> Request<'_> {
        Request::Connect { target: Cow::Borrowed(target) }
    }

    #[test]
    fn every_row_of_the_contract() {
        let rows: [(&[u8], _); 15] = [
            (br#"{"type":"error","msg":"unknown message type"}"#, Ok(Request::Error)),
            (br#"{"type":"register"}"#, Ok(Request::Register)),
            (br#"{"type": "register", "name": "x", "more": [{"a": 1}]}"#, Ok(Request::Register)),
            (b" \r\n\t{\"type\":\"register\"} \n", Ok(Request::Register)),
            (br#"{"typ\u0065":"r\u0065gister"}"#, Ok(Request::Register)),
            (br#"{"type":"connect","target_ip":"203.0.113.10"}"#, Ok(connect("203.0.113.10"))),
            (br#"{"target_ip":"x","type":"connect"}"#, Ok(connect("x"))),
            (br#"{"type":"connect"}"#, Ok(Request::ConnectWithoutTarget)),
            (br#"{"type":"connect","target_ip":""}"#, Ok(Request::ConnectWithoutTarget)),
            (br#"{"type":"connect","target_ip":null}"#, Ok(Request::ConnectWithoutTarget)),
            (br#"{"type":"dance"}"#, Ok(Request::Unknown)),
            (br#"{"type":5}"#, Ok(Request::Unknown)),
            (br#"{"type":{"type":"register"}}"#, Ok(Request::Unknown)),
            (br#"{"Type":"register"}"#, Ok(Request::Unknown)),
            (b"{}", Ok(Request::Unknown)),
        ];
        for (datagram, expected) in rows {
            assert_eq!(Request::decode(datagram), expected, "{}", String::from_utf8_lossy(datagram));
        }
    }

    #[test]
    fn what_is_no_single_object_is_malformed() {
        let datagrams: [&[u8]; 19] = [
            b"",
            b"   ",
            b"\xef\xbb\xbf{\"type\":\"register\"}",
            b"{\"type\":\"\xff\"}",
            b"[]",
            b"[{\"type\":\"register\"}]",
            b"\"register\"",
            b"5",
            b"null",
            b"{",
            br#"{"type":"register"}{}"#,
            br#"{"type":"register"} x"#,
            br#"{"type":"register",}"#,
            br#"{"type":"register","type":"register"}"#,
            br#"{"type":"connect","target_ip":"a","target_ip":"b"}"#,
            br#"{"type":"connect","target_ip":5}"#,
            br#"{"type":"connect","target_ip":["203.0.113.10"]}"#,
            br#"{"type":"connect","target_ip":{}}"#,
            br#"{"type":"connect","target_ip":false}"#,
        ];
        for datagram in datagrams {
            let text = String::from_utf8_lossy(datagram);
            assert_eq!(Request::decode(datagram), Err(Malformed::NotARequest), "{text}");
        }
    }

    #[test]
    fn depth_neither_panics_nor_overflows() {
        let mut deep = b"{\"type\":\"register\",\"x\":".to_vec();
        deep.resize(DATAGRAM_MAX_BYTES, b'[');
        assert_eq!(Request::decode(&deep), Err(Malformed::NotARequest));
        let closed = format!("{{\"type\":{}1{}}}", "[".repeat(2_000), "]".repeat(2_000));
        assert_eq!(Request::decode(closed.as_bytes()), Ok(Request::Unknown));
    }

    #[test]
    fn the_largest_datagram_has_4096_bytes() {
        let mut padded = br#"{"type":"register"}"#.to_vec();
        padded.resize(DATAGRAM_MAX_BYTES, b' ');
        assert_eq!(Request::decode(&padded), Ok(Request::Register));
        padded.push(b' ');
        assert_eq!(Request::decode(&padded), Err(Malformed::TooLarge));
    }

    proptest! {
        #[test]
        fn any_bytes_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::decode(&bytes);
        }

        #[test]
        fn a_target_comes_through_as_it_was_written(target in ".{1,60}") {
            let datagram = serde_json::json!({"type": "connect", "target_ip": target}).to_string();
            prop_assert_eq!(Request::decode(datagram.as_bytes()), Ok(connect(&target)));
        }
    }
}
