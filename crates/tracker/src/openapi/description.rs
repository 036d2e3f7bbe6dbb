//! The description as the annotations at the routes make it, with what is the same at many of them: errors that any
//! request may meet, an example of each in our own words, and the headers that come with it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot read its own sample has failed"
)]

use peer_core::limits::BODY_MAX_BYTES;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::OPENAPI_JSON;
use crate::error::{ApiError, FieldError, InvalidBody, Place};
use crate::rate::{Rate, TooOften};
use crate::signature::BadSignature;
use crate::{legacy, v1};

/// Characters of a summary at most: it stands beside the path, on one line.
const SUMMARY_MAX_CHARS: usize = 100;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Peer tracker",
        description = "Which peer has which file.\n\nPaths without `/v1` are the legacy contract, which stays as it is. Errors have one form, `{\"detail\": …}`. Every answer bears the id by which the server's log calls the request, in `X-Request-Id`. Figures as they change are on the [dashboard](dashboard).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        v1::publish::publish,
        v1::unpublish::unpublish,
        v1::heartbeat::heartbeat,
        v1::find::peers,
        v1::find::lookup,
        v1::find::files,
        v1::report::report,
        v1::stats::stats,
        v1::stats::stream,
        v1::live::live,
        v1::operator::peers,
        legacy::root,
        legacy::peers,
        legacy::add,
        legacy::remove,
        legacy::peer_offline,
        legacy::files,
    ),
    tags(
        (name = "peers", description = "What a peer says about its own files"),
        (name = "files", description = "What one asks and says about the files of others"),
        (name = "service", description = "The service itself"),
        (name = "legacy", description = "The contract of the original server"),
    )
)]
struct Description;

/// What a request with this status was told, in our own words; `None` where it was no error.
fn told(status: &str) -> Option<Value> {
    let text = |error: ApiError| Some(json!({"detail": error.to_string()}));
    match status {
        "400" => text(ApiError::BrokenBody),
        "401" => text(ApiError::Signature(BadSignature::Missing)),
        "403" => text(ApiError::CrossSite),
        "408" => text(ApiError::TooSlow),
        "413" => text(ApiError::TooLarge(BODY_MAX_BYTES)),
        "415" => text(ApiError::NotJson),
        "422" => serde_json::to_value(InvalidBody::of(FieldError::missing("filename"))).ok(),
        "429" => text(ApiError::TooOften(TooOften { rate: Rate::per_sec(200).unwrap(), retry_secs: 1 })),
        "503" => text(ApiError::Unavailable),
        _ => None,
    }
}

fn header(description: &str, schema: &Value) -> Value {
    json!({"description": description, "schema": schema})
}

/// The errors of any request with a body, which no route has to name.
fn add_errors_of_bodies(operation: &mut Map<String, Value>, is_legacy: bool) {
    let refusal = |description: &str| {
        let schema = json!({"$ref": "#/components/schemas/Refusal"});
        json!({"description": description, "content": {"application/json": {"schema": schema}}})
    };
    let responses = operation["responses"].as_object_mut().unwrap();
    for (status, description) in [
        ("400", "The body did not come whole"),
        ("403", "A page of another site made a browser send it"),
        ("408", "The body did not come in time"),
    ] {
        if !is_legacy || status != "403" {
            responses.entry(status).or_insert_with(|| refusal(description));
        }
    }
    responses.sort_keys();
}

fn complete_responses(path: &str, operation: &mut Map<String, Value>) {
    for (status, response) in operation["responses"].as_object_mut().unwrap() {
        let Some(mut example) = told(status) else { continue };
        let is_operators = path.starts_with("/v1/operator/");
        if status == "401" && is_operators {
            example = json!({"detail": ApiError::NotOperator.to_string()});
        }
        if status == "422" && operation_has_body(path) {
            let error = FieldError::missing_in(Place::Body, "files");
            example = serde_json::to_value(InvalidBody::of(error)).unwrap();
        }
        response["content"]["application/json"]["example"] = example;
        match status.as_str() {
            "401" => {
                let challenge = if is_operators {
                    "`Bearer`: show the token"
                } else {
                    "`Peer-Signature`: sign the request"
                };
                response["headers"]["WWW-Authenticate"] = header(challenge, &json!({"type": "string"}));
            }
            "429" | "503" => {
                response["headers"]["Retry-After"] =
                    header("When to come back, in seconds", &json!({"type": "integer", "minimum": 1}));
            }
            _ => {}
        }
    }
}

fn operation_has_body(path: &str) -> bool {
    ["/v1/publish", "/v1/unpublish", "/v1/heartbeat", "/v1/lookup", "/v1/report"].contains(&path)
}

fn complete() -> Value {
    let mut description = serde_json::to_value(Description::openapi()).unwrap();
    for (path, methods) in description["paths"].as_object_mut().unwrap() {
        for (method, operation) in methods.as_object_mut().unwrap() {
            let operation = operation.as_object_mut().unwrap();
            // Two methods of one function; each has to have a name of its own.
            if method == "get" && ["/add", "/remove"].contains(&path.as_str()) {
                let id = operation["operationId"].as_str().unwrap();
                operation["operationId"] = json!(format!("{id}_by_get"));
            }
            if method == "post" {
                add_errors_of_bodies(operation, !path.starts_with("/v1/"));
            }
            complete_responses(path, operation);
        }
    }
    description["components"]["securitySchemes"]["operator"] =
        json!({"type": "http", "scheme": "bearer", "description": "ADMIN_TOKEN of the operator"});
    description
}

/// `UPDATE_OPENAPI=1 cargo test -p tracker` writes the file anew.
#[test]
fn the_golden_file_is_what_the_code_says() {
    let description = serde_json::to_string_pretty(&complete()).unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"), &description).unwrap();
        return;
    }
    assert!(
        description == OPENAPI_JSON,
        "openapi.json is not what the code says; UPDATE_OPENAPI=1 writes it anew"
    );
}

/// Someone who writes a client has this and nothing else.
#[test]
fn every_path_parameter_body_and_answer_says_what_it_is_and_looks_like() {
    let description = complete();
    let mut lacking = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let mut want = |there: bool, what: String| {
                if !there {
                    lacking.push(format!("{method} {path}: {what}"));
                }
            };
            let summary = operation["summary"].as_str().unwrap_or_default();
            want((1..=SUMMARY_MAX_CHARS).contains(&summary.chars().count()), format!("summary {summary:?}"));
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                want(parameter["description"].is_string(), format!("description of {name}"));
                // Swagger UI fills examples in: a signature or a cursor out of the blue would be refused.
                let made_by_us = ["Peer-Signature", "cursor"].contains(&name);
                want(
                    made_by_us != parameter["example"].is_string() | parameter["example"].is_number(),
                    format!("example of {name}"),
                );
            }
            if let Some(body) = operation.get("requestBody") {
                let example = &body["content"]["application/json"]["example"];
                want(example.is_object(), "example of the body".to_owned());
                // It could be tried out only with a key.
                want(example["peer"]["id"].is_null(), "an example without an id".to_owned());
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                want(response["description"].is_string(), format!("description of {status}"));
                for (content_type, content) in response["content"].as_object().into_iter().flatten() {
                    let schema = content["schema"]["$ref"].as_str().unwrap_or_default();
                    let schema = schema.rsplit('/').next().unwrap_or_default();
                    let of_schema = &description["components"]["schemas"][schema]["example"];
                    let is_there = !content["example"].is_null() || !of_schema.is_null();
                    want(is_there, format!("example of {status} {content_type} {schema}"));
                }
            }
        }
    }
    assert!(lacking.is_empty(), "lacking:\n{}", lacking.join("\n"));
}
