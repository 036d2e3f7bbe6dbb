//! The description of the API, and where it is served.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::{self, ServiceConfig};

use crate::legacy::{GET, other_method};

/// The description as it is served: the golden file, which a test compares with the code.
const OPENAPI_JSON: &str = include_str!("../openapi.json");

/// Puts the route into an application.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(
        web::resource("/openapi.json").route(web::get().to(openapi)).default_service(other_method(GET)),
    );
}

async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(OPENAPI_JSON)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot read its own sample has failed")]

    use utoipa::OpenApi;

    use super::OPENAPI_JSON;
    use crate::{legacy, v1};

    #[derive(OpenApi)]
    #[openapi(
        info(
            title = "Peer tracker",
            description = "Which peer has which file. Paths without /v1 are the legacy contract.",
            license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        ),
        paths(
            legacy::root,
            legacy::peers,
            legacy::add,
            legacy::remove,
            legacy::peer_offline,
            legacy::files,
            v1::publish::publish,
            v1::publish::unpublish,
            v1::publish::heartbeat,
            v1::find::peers,
            v1::find::lookup,
            v1::find::files,
            v1::report::report,
            v1::stats::stats,
            v1::stats::stream,
        ),
        tags(
            (name = "peers", description = "What a peer says about its own files"),
            (name = "files", description = "What one asks and says about the files of others"),
            (name = "service", description = "The service itself"),
            (name = "legacy", description = "The contract of the original server"),
        )
    )]
    struct Description;

    /// `UPDATE_OPENAPI=1 cargo test -p tracker` writes the file anew.
    #[test]
    fn the_golden_file_is_what_the_code_says() {
        let mut description = Description::openapi();
        // Two methods of one function; each has to have a name of its own.
        for path in ["/add", "/remove"] {
            let get = description.paths.paths.get_mut(path).unwrap().get.as_mut().unwrap();
            get.operation_id = get.operation_id.as_ref().map(|id| format!("{id}_by_get"));
        }
        let description = description.to_pretty_json().unwrap() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"), &description).unwrap();
            return;
        }
        assert!(
            description == OPENAPI_JSON,
            "openapi.json is not what the code says; UPDATE_OPENAPI=1 writes it anew"
        );
    }
}
