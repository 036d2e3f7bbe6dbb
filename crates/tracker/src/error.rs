//! Everything that a caller can be told, in one form: `{"detail": …}`, as the original's framework has it.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use peer_core::limits::{BODY_MAX_BYTES, FILES_PER_PEER_MAX};
use registry::RegistryError;
use serde::Serialize;

/// When a caller may come back after a 503, in seconds: the store is looked for several times in each.
const RETRY_AFTER_SECS: HeaderValue = HeaderValue::from_static("1");
/// How much of a refused value goes back, in characters.
const INPUT_MAX_CHARS: usize = 128;

/// Why a request was not served.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// 422: parameters that are missing or refused.
    Invalid(Vec<FieldError>),
    /// 413: the body is larger than [`BODY_MAX_BYTES`].
    TooLarge,
    /// 400: the body did not come whole, or not as its headers say.
    BrokenBody,
    /// 408: the body did not come in time.
    TooSlow,
    /// 403: a page of another site tries to change something in the name of whoever looks at it.
    CrossSite,
    /// 404: there is no such path.
    NotFound,
    /// 405: there is, with other methods.
    MethodNotAllowed(&'static str),
    /// 429: the peer has as many files as it may.
    TooManyFiles,
    /// 503: the store is not there. The cause is logged by the store, not told.
    Unavailable,
}

/// Where a parameter stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    Query,
    Body,
}

/// One entry of a 422, as the original's framework has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldError {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(serialize_with = "serialize_loc")]
    loc: (Place, Option<&'static str>),
    msg: String,
    input: Option<String>,
}

impl FieldError {
    /// It was left out.
    pub(crate) fn missing(name: &'static str) -> Self {
        Self {
            kind: "missing",
            loc: (Place::Query, Some(name)),
            msg: "Field required".to_owned(),
            input: None,
        }
    }

    /// Its value cannot be taken.
    pub(crate) fn refused(
        place: Place,
        name: &'static str,
        why: impl fmt::Display,
        input: Option<&str>,
    ) -> Self {
        let input = input.map(|input| input.chars().take(INPUT_MAX_CHARS).collect());
        Self { kind: "value_error", loc: (place, Some(name)), msg: why.to_string(), input }
    }

    /// The body as a whole cannot be taken.
    pub(crate) fn body(why: String) -> Self {
        Self { kind: "value_error", loc: (Place::Body, None), msg: why, input: None }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.loc.0 {
            Place::Query => "query",
            Place::Body => "body",
        };
        match self.loc.1 {
            Some(name) => write!(f, "{place}.{name}: {}", self.msg),
            None => write!(f, "{place}: {}", self.msg),
        }
    }
}

fn serialize_loc<S: serde::Serializer>(
    (place, name): &(Place, Option<&'static str>),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match name {
        Some(name) => (place, name).serialize(serializer),
        None => [place].serialize(serializer),
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::TooManyFiles => Self::TooManyFiles,
            RegistryError::Unavailable(_) | RegistryError::Broken(_) => Self::Unavailable,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(_) => f.write_str("Unprocessable Content"),
            Self::TooLarge => write!(f, "a body has at most {BODY_MAX_BYTES} bytes"),
            Self::BrokenBody => f.write_str("the body is incomplete or not as its headers say"),
            Self::TooSlow => f.write_str("the body did not come in time"),
            Self::CrossSite => f.write_str("a page of another site may not change anything here"),
            Self::NotFound => f.write_str("Not Found"),
            Self::MethodNotAllowed(_) => f.write_str("Method Not Allowed"),
            Self::TooManyFiles => {
                write!(f, "a peer has at most {FILES_PER_PEER_MAX} files; remove some first")
            }
            Self::Unavailable => f.write_str("the store is not available; try again"),
        }
    }
}

#[derive(Serialize)]
struct Detail<T: Serialize> {
    detail: T,
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BrokenBody => StatusCode::BAD_REQUEST,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyFiles => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::Invalid(errors) => return response.json(Detail { detail: errors }),
            Self::MethodNotAllowed(allowed) => response.insert_header((ALLOW, *allowed)),
            Self::Unavailable => response.insert_header((RETRY_AFTER, RETRY_AFTER_SECS)),
            _ => &mut response,
        };
        response.json(Detail { detail: self.to_string() })
    }
}
