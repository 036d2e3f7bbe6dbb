//! Parameters: from the query string, as the original takes them, or else from a JSON or form body.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::error::{ApiError, FieldError, Place};

/// The parameters of a request, not yet validated.
#[derive(Debug, Default)]
pub(crate) struct Params {
    /// As it came. It is read when something is looked for in it: that costs less than taking it apart.
    query: String,
    body: Vec<(String, Given<'static>)>,
}

/// A parameter.
struct Param<'a> {
    place: Place,
    value: Given<'a>,
}

/// A value as it came.
#[derive(Debug, Clone)]
enum Given<'a> {
    Text(Cow<'a, str>),
    /// A number in a JSON body, as written there.
    Number(Cow<'a, str>),
    /// Any other value in a JSON body.
    NoText,
    /// Not UTF-8 behind its escapes.
    NoUtf8,
}

impl Given<'_> {
    fn into_owned(self) -> Given<'static> {
        match self {
            Self::Text(text) => Given::Text(text.into_owned().into()),
            Self::Number(number) => Given::Number(number.into_owned().into()),
            Self::NoText => Given::NoText,
            Self::NoUtf8 => Given::NoUtf8,
        }
    }
}

impl Params {
    /// Reads both. The body is looked at when it says that it is JSON or a form; a client of the original may
    /// send any, since the original never did look.
    pub(crate) fn read(query: &str, content_type: &str, body: &[u8]) -> Result<Self, ApiError> {
        let mut params = Self { query: query.to_owned(), body: Vec::new() };
        if body.is_empty() {
            return Ok(params);
        }
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        if content_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let form = pairs(body).map(|(name, value)| {
                (String::from_utf8_lossy(&unescape(name)).into_owned(), text(value).into_owned())
            });
            params.body.extend(form);
        } else if content_type.eq_ignore_ascii_case("application/json") {
            read_json(body, &mut params.body)?;
        }
        Ok(params)
    }

    /// The parameter `name`; a complaint goes to `errors` when it is missing or refused.
    pub(crate) fn required<T>(&self, name: &'static str, errors: &mut Vec<FieldError>) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let missing = errors.len();
        let value = self.optional(name, errors);
        if value.is_none() && errors.len() == missing {
            errors.push(FieldError::missing(name));
        }
        value
    }

    /// The same for one that may be left out.
    pub(crate) fn optional<T>(&self, name: &'static str, errors: &mut Vec<FieldError>) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let param = self.find(name, errors).ok().flatten()?;
        match &param.value {
            Given::Text(text) => match text.parse() {
                Ok(value) => return Some(value),
                Err(error) => errors.push(FieldError::refused(param.place, name, error, Some(text))),
            },
            Given::Number(_) | Given::NoText => {
                errors.push(FieldError::refused(param.place, name, "a text is wanted", None));
            }
            Given::NoUtf8 => {
                errors.push(FieldError::refused(param.place, name, "a text in UTF-8 is wanted", None));
            }
        }
        None
    }

    /// A whole number from `least` to `most`, or `default` where it is left out.
    pub(crate) fn number(
        &self,
        name: &'static str,
        (least, default, most): (usize, usize, usize),
        errors: &mut Vec<FieldError>,
    ) -> Option<usize> {
        let Some(param) = self.find(name, errors).ok()? else { return Some(default) };
        let text = match &param.value {
            Given::Text(text) | Given::Number(text) => text,
            Given::NoText | Given::NoUtf8 => "",
        };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let allowed = format!("a whole number from {least} to {most} is wanted");
            errors.push(FieldError::refused(param.place, name, allowed, Some(text)));
        }
        number
    }

    /// The query goes before the body. What stands twice in one place is refused: two readers of the request, a
    /// proxy and we, could each take another one.
    fn find(&self, name: &'static str, errors: &mut Vec<FieldError>) -> Result<Option<Param<'_>>, Refused> {
        let query = pairs(self.query.as_bytes())
            .filter(|(its_name, _)| is_written_as(name.as_bytes(), its_name))
            .map(|(_, value)| text(value));
        if let Some(value) = only(query, Place::Query, name, errors)? {
            return Ok(Some(Param { place: Place::Query, value }));
        }
        let body = self.body.iter().filter(|(its_name, _)| its_name == name).map(|(_, value)| value.clone());
        let value = only(body, Place::Body, name, errors)?;
        Ok(value.map(|value| Param { place: Place::Body, value }))
    }
}

/// The complaint is among the errors already.
struct Refused;

/// The one value of `name`, where there is one.
fn only<'a>(
    mut values: impl Iterator<Item = Given<'a>>,
    place: Place,
    name: &'static str,
    errors: &mut Vec<FieldError>,
) -> Result<Option<Given<'a>>, Refused> {
    let first = values.next();
    if values.next().is_some() {
        errors.push(FieldError::refused(place, name, "given more than once", None));
        return Err(Refused);
    }
    Ok(first)
}

/// `a=1&b=2`, as it is written.
fn pairs(form: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(end);
        (name, value.get(1..).unwrap_or_default())
    })
}

/// Whether `name`, which has no blank and nothing to escape, is what `written` stands for. An escape is longer than what it
/// stands for, so that most names are told apart without looking for any.
fn is_written_as(name: &[u8], written: &[u8]) -> bool {
    written == name || (written.len() > name.len() && *unescape(written) == *name)
}

/// Undoes `+` for a blank and percent escapes (WHATWG URL Standard, application/x-www-form-urlencoded).
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    // Most have nothing to undo, which is seen for many bytes at once.
    let is_plain = |byte: u8| byte != b'%' && byte != b'+';
    if text.iter().fold(true, |plain, byte| plain & is_plain(*byte)) {
        return text.into();
    }
    if !text.contains(&b'+') {
        return percent_decode(text).into();
    }
    let blanks: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&blanks).collect::<Vec<u8>>().into()
}

/// A value, strict about UTF-8: it must not change on the way.
fn text(value: &[u8]) -> Given<'_> {
    let text = match unescape(value) {
        Cow::Borrowed(value) => std::str::from_utf8(value).ok().map(Cow::Borrowed),
        Cow::Owned(value) => String::from_utf8(value).ok().map(Cow::Owned),
    };
    text.map_or(Given::NoUtf8, Given::Text)
}

fn read_json(body: &[u8], params: &mut Vec<(String, Given<'static>)>) -> Result<(), ApiError> {
    let Pairs(pairs) = serde_json::from_slice(body).map_err(|error| {
        ApiError::Invalid(vec![FieldError::body(format!("a JSON object is wanted: {error}"))])
    })?;
    for (name, value) in pairs {
        let value = match value {
            Value::String(text) => Given::Text(text.into()),
            Value::Number(number) => Given::Number(number.to_string().into()),
            // As good as left out.
            Value::Null => continue,
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => Given::NoText,
        };
        params.push((name, value));
    }
    Ok(())
}

/// The pairs of a JSON object, with those that occur twice.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    fn text(query: &str, content_type: &str, body: &str) -> Result<String, Vec<FieldError>> {
        let params = Params::read(query, content_type, body.as_bytes()).map_err(|error| match error {
            ApiError::Invalid(errors) => errors,
            _ => Vec::new(),
        })?;
        let mut errors = Vec::new();
        params.required("filename", &mut errors).ok_or(errors)
    }

    #[test]
    fn escapes_are_undone_once() {
        let cases = [
            ("filename=site/index.html", "site/index.html"),
            ("a=1&&filename=a%20b+c%2Bd&b", "a b c+d"),
            ("filename=%C3%BC.html", "ü.html"),
            ("filename=ü.html", "ü.html"),
            ("filename=a=b%26c%3Dd", "a=b&c=d"),
            ("filename=100%25.html", "100%.html"),
            ("filename=%2525", "%25"),
            ("filename=50%", "50%"),
            ("filename=%zz", "%zz"),
            ("file%6Eame=x", "x"),
        ];
        for (query, expected) in cases {
            assert_eq!(text(query, "", ""), Ok(expected.to_owned()), "{query}");
        }
    }

    #[test]
    fn the_query_goes_before_the_body() {
        let json = "application/json; charset=utf-8";
        assert_eq!(text("", json, r#"{"filename":"b","x":[1]}"#), Ok("b".to_owned()));
        assert_eq!(text("filename=q", json, r#"{"filename":"b"}"#), Ok("q".to_owned()));
        assert_eq!(text("", "application/x-www-form-urlencoded", "filename=b+c"), Ok("b c".to_owned()));
        assert_eq!(text("filename=q", "text/plain", "anything"), Ok("q".to_owned()));
        assert_eq!(text("", "text/plain", "filename=b"), Err(vec![FieldError::missing("filename")]));
    }

    #[test]
    fn what_cannot_be_read_in_one_way_only_is_refused() {
        let json = "application/json";
        let refused =
            |query: &str, kind: &str, body: &str| text(query, kind, body).unwrap_err().remove(0).to_string();
        assert_eq!(refused("filename=a&filename=a", "", ""), "query.filename: given more than once");
        assert_eq!(
            refused("", json, r#"{"filename":"a","filename":"b"}"#),
            "body.filename: given more than once"
        );
        assert_eq!(refused("filename=%ff", "", ""), "query.filename: a text in UTF-8 is wanted");
        assert_eq!(refused("", json, r#"{"filename":5}"#), "body.filename: a text is wanted");
        assert_eq!(refused("", json, r#"{"filename":["a"]}"#), "body.filename: a text is wanted");
        assert_eq!(refused("", json, r#"{"filename":null}"#), "query.filename: Field required");
        for body in ["[", "[]", "5", "{\"filename\":\"\u{1}\"}", &"[".repeat(60_000), "{}x"] {
            assert!(refused("", json, body).starts_with("body: a JSON object is wanted"), "{body:.20}");
        }
    }

    #[test]
    fn a_number_has_bounds_and_a_default() {
        let number = |query: &str| {
            let mut errors = Vec::new();
            Params::read(query, "", b"").unwrap().number("limit", (1, 100, 1_000), &mut errors).ok_or(errors)
        };
        assert_eq!(number(""), Ok(100));
        assert_eq!(number("limit=1000"), Ok(1_000));
        for query in ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=1&limit=2"] {
            assert!(number(query).is_err(), "{query}");
        }
    }
}
