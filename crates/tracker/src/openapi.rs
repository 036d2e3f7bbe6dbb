//! The description of the API, and where it is served.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::ServiceConfig;

use crate::resource;

#[cfg(test)]
mod description;

/// The description as it is served: the golden file, which a test compares with the code.
const OPENAPI_JSON: &str = include_str!("../openapi.json");

/// Puts the route into an application.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(resource::get("/openapi.json", openapi));
}

async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(OPENAPI_JSON)
}
