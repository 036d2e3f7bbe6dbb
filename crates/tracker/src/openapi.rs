//! The description of the API, and where it is served.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::{self, ServiceConfig};

use crate::legacy::{GET, other_method};

#[cfg(test)]
mod description;

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
