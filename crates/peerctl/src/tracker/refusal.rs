use serde::Deserialize;
use ureq::Body;
use ureq::http::Response;

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

/// A refusal in words, to stand after the name of the tracker.
pub(super) fn read(response: Response<Body>) -> String {
    let status = response.status();
    let body = response.into_body().into_with_config().limit(REFUSAL_MAX_BYTES).read_to_string();
    let detail = body.ok().and_then(|body| serde_json::from_str::<Refusal>(&body).ok());
    match detail.map(|refusal| refusal.detail) {
        Some(Detail::Text(text)) => format!("refused it with {status}: {text}"),
        Some(Detail::Fields(fields)) => {
            let fields: Vec<String> = fields.iter().map(Field::to_text).collect();
            format!("refused it with {status}: {}", fields.join("; "))
        }
        None => format!("answered with {status}, which is not how a tracker refuses: is it one?"),
    }
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
