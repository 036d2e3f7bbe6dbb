//! The API under `/v1`: JSON in and out.
//!
//! `body` reads what a POST says and who signed it, `speaker` which peer that is. `publish`, `unpublish` and `heartbeat` hold what a
//! peer says about its own files, `find` what one asks about those of others, `report` what one says about another, `stats` how
//! much there is, `live` what goes on, `operator` what only the operator may ask, and `schema` how values are described.

mod body;
pub(crate) mod find;
pub(crate) mod heartbeat;
pub(crate) mod live;
pub(crate) mod operator;
pub(crate) mod publish;
pub(crate) mod report;
pub(crate) mod schema;
mod speaker;
pub(crate) mod stats;
pub(crate) mod unpublish;

use actix_web::web::{self, PayloadConfig, ServiceConfig};

use crate::legacy::{GET, POST, other_method};
use crate::v1::body::Body;

/// Puts the routes into an application.
pub(crate) fn routes(config: &mut ServiceConfig) {
    let get =
        |path, route: actix_web::Route| web::resource(path).route(route).default_service(other_method(GET));
    let post = |path, route: actix_web::Route, most| {
        let resource = web::resource(path).route(route).default_service(other_method(POST));
        resource.app_data(PayloadConfig::new(most))
    };
    config
        .service(post("/v1/publish", web::post().to(publish::publish), publish::PublishBody::MAX_BYTES))
        .service(post(
            "/v1/unpublish",
            web::post().to(unpublish::unpublish),
            unpublish::UnpublishBody::MAX_BYTES,
        ))
        .service(post(
            "/v1/heartbeat",
            web::post().to(heartbeat::heartbeat),
            heartbeat::HeartbeatBody::MAX_BYTES,
        ))
        .service(get("/v1/peers", web::get().to(find::peers)))
        .service(post("/v1/lookup", web::post().to(find::lookup), find::LookupBody::MAX_BYTES))
        .service(get("/v1/files", web::get().to(find::files)))
        .service(post("/v1/report", web::post().to(report::report), report::ReportBody::MAX_BYTES))
        .service(get("/v1/stats", web::get().to(stats::stats)))
        .service(get("/v1/stats/stream", web::get().to(stats::stream)))
        .service(get("/v1/stats/live", web::get().to(live::live)))
        .service(get("/v1/operator/peers", web::get().to(operator::peers)));
}
