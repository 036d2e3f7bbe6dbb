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
pub(crate) struct Params(Vec<Param>);

#[derive(Debug)]
struct Param {
    name: String,
    place: Place,
    value: Given,
}

/// A value as it came.
#[derive(Debug)]
enum Given {
    Text(String),
    /// A number in a JSON body, as written there.
    Number(String),
    /// Any other value in a JSON body.
    NoText,
    /// Not UTF-8 behind its escapes.
    NoUtf8,
}

impl Params {
    /// Reads both. The body is looked at when it says that it is JSON or a form; a client of the original may
    /// send any, since the original never did look.
    pub(crate) fn read(query: &str, content_type: &str, body: &[u8]) -> Result<Self, ApiError> {
        let mut params = Vec::new();
        read_form(query.as_bytes(), Place::Query, &mut params);
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        if body.is_empty() {
            return Ok(Self(params));
        }
        if content_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            read_form(body, Place::Body, &mut params);
        } else if content_type.eq_ignore_ascii_case("application/json") {
            read_json(body, &mut params)?;
        }
        Ok(Self(params))
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
            Given::Text(text) | Given::Number(text) => text.as_str(),
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
    fn find(&self, name: &'static str, errors: &mut Vec<FieldError>) -> Result<Option<&Param>, Refused> {
        let Some(first) = self.0.iter().find(|param| param.name == name) else { return Ok(None) };
        if self.0.iter().filter(|param| param.name == name && param.place == first.place).count() > 1 {
            errors.push(FieldError::refused(first.place, name, "given more than once", None));
            return Err(Refused);
        }
        Ok(Some(first))
    }
}

/// The complaint is among the errors already.
struct Refused;

/// `a=1&b=2` with `+` for a blank and percent escapes (WHATWG URL Standard, application/x-www-form-urlencoded),
/// but strict about UTF-8: a name must not change on the way.
fn read_form(form: &[u8], place: Place, params: &mut Vec<Param>) {
    // Most have nothing to undo, and to see that for all of them at once costs next to nothing.
    let plain = !form.contains(&b'%') && !form.contains(&b'+');
    for pair in form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        let (name, value) = if plain {
            (Cow::Borrowed(name), Cow::Borrowed(value))
        } else {
            (unescape(name), unescape(value))
        };
        let name = String::from_utf8_lossy(&name).into_owned();
        let value = String::from_utf8(value.into_owned()).map_or(Given::NoUtf8, Given::Text);
        params.push(Param { name, place, value });
    }
}

fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'+') {
        return percent_decode(text).into();
    }
    let blanks: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&blanks).collect::<Vec<u8>>().into()
}

fn read_json(body: &[u8], params: &mut Vec<Param>) -> Result<(), ApiError> {
    let Pairs(pairs) = serde_json::from_slice(body).map_err(|error| {
        ApiError::Invalid(vec![FieldError::body(format!("a JSON object is wanted: {error}"))])
    })?;
    for (name, value) in pairs {
        let value = match value {
            Value::String(text) => Given::Text(text),
            Value::Number(number) => Given::Number(number.to_string()),
            // As good as left out.
            Value::Null => continue,
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => Given::NoText,
        };
        params.push(Param { name, place: Place::Body, value });
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
