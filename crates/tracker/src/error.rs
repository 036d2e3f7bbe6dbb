//! Everything that a caller can be told, in one form: `{"detail": …}`, as the original's framework has it.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use peer_core::limits::{FILES_PER_PEER_MAX, PEERS_PER_FILE_MAX};
use registry::RegistryError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::listeners::{LISTENERS_MAX, LISTENERS_PER_CALLER_MAX};
use crate::rate::TooOften;
use crate::signature::BadSignature;

/// When a caller may come back after a 503, in seconds: the store is looked for several times in each.
const RETRY_AFTER_SECS: HeaderValue = HeaderValue::from_static("1");
/// When a caller may come back to what is full, in seconds: only others make room, and nobody knows when.
const FULL_RETRY_AFTER_SECS: HeaderValue = HeaderValue::from_static("60");
/// How one shows whose id one speaks for.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Peer-Signature");
/// How the operator does (RFC 6750 section 3).
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");
/// How much of a refused value goes back, in characters.
const INPUT_MAX_CHARS: usize = 128;

/// Why a request was not served.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// 422: parameters that are missing or refused.
    Invalid(Vec<FieldError>),
    /// 413: the body is larger than its path takes, in bytes.
    TooLarge(usize),
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
    /// 413: more of something in one request than fits.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        most: usize,
    },
    /// 415: the body is not of the type that is wanted.
    NotJson,
    /// 401: an id is named by somebody who did not show that it is his.
    Signature(BadSignature),
    /// 401: what only the operator may ask, asked by somebody else.
    NotOperator,
    /// 429: the peer has as many files as it may.
    TooManyFiles,
    /// 429: the file has as many peers as it may.
    TooManyPeers,
    /// 429: the caller asked more often than it may.
    TooOften(TooOften),
    /// 429: the caller listens to as many streams as it may.
    ListensTooOften,
    /// 503: as many listen to the streams as may.
    TooManyListeners,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// What kind of mistake: `missing`, or `value_error`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Where: `query` or `body`, then names and places in lists.
    #[schema(value_type = Vec<Value>, example = json!(["query", "filename"]))]
    loc: Vec<Step>,
    /// What is wrong and what is allowed.
    msg: String,
    /// The value as it came, cut short; null where it was none or is not a text.
    input: Option<String>,
}

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Step {
    /// The query or the body.
    Place(Place),
    /// A parameter or field.
    Name(&'static str),
    /// A place in a list, from 0.
    Index(usize),
}

impl FieldError {
    /// It was left out.
    pub(crate) fn missing(name: &'static str) -> Self {
        Self::missing_in(Place::Query, name)
    }

    /// The same, of a body that is JSON only.
    pub(crate) fn missing_in(place: Place, name: &'static str) -> Self {
        Self {
            kind: "missing",
            loc: vec![Step::Place(place), Step::Name(name)],
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
        Self::refused_at(vec![Step::Place(place), Step::Name(name)], why, input)
    }

    /// The same of one in a list.
    pub(crate) fn refused_item(
        list: &'static str,
        index: usize,
        why: impl fmt::Display,
        input: Option<&str>,
    ) -> Self {
        Self::refused_at(vec![Step::Place(Place::Body), Step::Name(list), Step::Index(index)], why, input)
    }

    /// The body as a whole cannot be taken.
    pub(crate) fn body(why: String) -> Self {
        Self::refused_at(vec![Step::Place(Place::Body)], why, None)
    }

    fn refused_at(loc: Vec<Step>, why: impl fmt::Display, input: Option<&str>) -> Self {
        let input = input.map(|input| input.chars().take(INPUT_MAX_CHARS).collect());
        Self { kind: "value_error", loc, msg: why.to_string(), input }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.loc.iter().enumerate() {
            if depth > 0 {
                f.write_str(".")?;
            }
            match step {
                Step::Place(Place::Query) => f.write_str("query")?,
                Step::Place(Place::Body) => f.write_str("body")?,
                Step::Name(name) => f.write_str(name)?,
                Step::Index(index) => write!(f, "{index}")?,
            }
        }
        write!(f, ": {}", self.msg)
    }
}

impl From<BadSignature> for ApiError {
    fn from(why: BadSignature) -> Self {
        Self::Signature(why)
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Unavailable(_) | RegistryError::Broken(_) => Self::Unavailable,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(_) => f.write_str("Unprocessable Content"),
            Self::TooLarge(most) => write!(f, "a body has at most {most} bytes here"),
            Self::BrokenBody => f.write_str("the body is incomplete or not as its headers say"),
            Self::TooSlow => f.write_str("the body did not come in time"),
            Self::CrossSite => f.write_str("a page of another site may not change anything here"),
            Self::NotFound => f.write_str("Not Found"),
            Self::MethodNotAllowed(_) => f.write_str("Method Not Allowed"),
            Self::TooMany { what, most } => write!(f, "a request has at most {most} {what}"),
            Self::NotJson => f.write_str("a body of the type application/json is wanted"),
            Self::Signature(why) => why.fmt(f),
            Self::NotOperator => {
                f.write_str("only the operator may ask this, with ADMIN_TOKEN as Authorization: Bearer TOKEN")
            }
            Self::TooManyFiles => {
                write!(f, "a peer has at most {FILES_PER_PEER_MAX} files; remove some first")
            }
            Self::TooManyPeers => write!(f, "a file has at most {PEERS_PER_FILE_MAX} peers"),
            Self::TooOften(TooOften { rate, .. }) => {
                write!(
                    f,
                    "a caller may ask {} times a second, and {} times at once",
                    rate.per_sec, rate.burst
                )
            }
            Self::ListensTooOften => {
                write!(f, "a caller may listen {LISTENERS_PER_CALLER_MAX} times at a time; ask /v1/stats")
            }
            Self::TooManyListeners => write!(f, "at most {LISTENERS_MAX} listen at a time; ask /v1/stats"),
            Self::Unavailable => f.write_str("the store is not available; try again"),
        }
    }
}

/// Why a request was refused.
#[derive(Serialize, ToSchema)]
pub(crate) struct Refusal {
    /// What was wrong and what is allowed.
    detail: String,
}

/// Which parameters or fields were missing or refused.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvalidBody {
    /// One entry for each.
    detail: Vec<FieldError>,
}

#[cfg(test)]
impl InvalidBody {
    /// One of a single entry, for the description of the API.
    pub(crate) fn of(error: FieldError) -> Self {
        Self { detail: vec![error] }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::BrokenBody => StatusCode::BAD_REQUEST,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge(_) | Self::TooMany { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Signature(_) | Self::NotOperator => StatusCode::UNAUTHORIZED,
            Self::TooManyFiles | Self::TooManyPeers | Self::TooOften(_) | Self::ListensTooOften => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Unavailable | Self::TooManyListeners => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::Invalid(errors) => return response.json(InvalidBody { detail: errors.clone() }),
            Self::MethodNotAllowed(allowed) => response.insert_header((ALLOW, *allowed)),
            // Who left is noticed with the next event, which comes every second.
            Self::Unavailable | Self::TooManyListeners | Self::ListensTooOften => {
                response.insert_header((RETRY_AFTER, RETRY_AFTER_SECS))
            }
            Self::TooOften(TooOften { retry_secs, .. }) => response.insert_header((RETRY_AFTER, *retry_secs)),
            Self::TooManyFiles | Self::TooManyPeers => {
                response.insert_header((RETRY_AFTER, FULL_RETRY_AFTER_SECS))
            }
            // RFC 9110 section 11.6.1 wants a challenge with every 401.
            Self::Signature(_) => response.insert_header((WWW_AUTHENTICATE, CHALLENGE)),
            Self::NotOperator => response.insert_header((WWW_AUTHENTICATE, BEARER)),
            _ => &mut response,
        };
        response.json(Refusal { detail: self.to_string() })
    }
}
