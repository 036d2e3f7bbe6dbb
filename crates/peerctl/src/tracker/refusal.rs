use serde::Deserialize;
use ureq::Body;
use ureq::http::Response;

use super::TrackerError;
use crate::output::printable;

/// Largest error that is read, in bytes.
const REFUSAL_MAX_BYTES: u64 = 64 * 1_024;

/// The one form of errors.
#[derive(Deserialize)]
struct Refusal {
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Detail {
    Text(String),
    Fields(Vec<Field>),
}

/// What is wrong with a parameter.
#[derive(Deserialize)]
struct Field {
    #[serde(default)]
    loc: Vec<serde_json::Value>,
    msg: String,
}

/// After how many seconds to come again, where the tracker is only busy.
pub(super) fn retry_after_secs(response: &Response<Body>) -> Option<u64> {
    let busy = matches!(response.status().as_u16(), 429 | 503);
    let wait = response.headers().get("Retry-After")?.to_str().ok()?.parse().ok();
    wait.filter(|_| busy)
}

/// What a tracker said in place of an answer.
pub(super) fn read(origin: String, response: Response<Body>) -> TrackerError {
    let status = response.status();
    let body = response.into_body().into_with_config().limit(REFUSAL_MAX_BYTES).read_to_string();
    let refusal = body.ok().and_then(|body| serde_json::from_str::<Refusal>(&body).ok());
    let detail = match refusal.map(|refusal| refusal.detail) {
        Some(Detail::Text(text)) => text,
        Some(Detail::Fields(fields)) => fields.iter().map(Field::to_text).collect::<Vec<_>>().join("; "),
        None => return TrackerError::NoTracker { origin, status },
    };
    TrackerError::Refused { origin, status, detail: printable(&detail).into_owned() }
}

impl Field {
    fn to_text(&self) -> String {
        let place: Vec<String> = self
            .loc
            .iter()
            .map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned))
            .collect();
        format!("{}: {}", place.join("."), self.msg)
    }
}
