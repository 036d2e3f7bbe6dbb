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

use actix_web::web::{PayloadConfig, ServiceConfig};

use crate::resource::{get, post};
use crate::v1::body::Body;

/// Puts the routes into an application.
pub(crate) fn routes(config: &mut ServiceConfig) {
    let most = PayloadConfig::new;
    config
        .service(post("/v1/publish", publish::publish).app_data(most(publish::PublishBody::MAX_BYTES)))
        .service(
            post("/v1/unpublish", unpublish::unpublish).app_data(most(unpublish::UnpublishBody::MAX_BYTES)),
        )
        .service(
            post("/v1/heartbeat", heartbeat::heartbeat).app_data(most(heartbeat::HeartbeatBody::MAX_BYTES)),
        )
        .service(get("/v1/peers", find::peers))
        .service(post("/v1/lookup", find::lookup).app_data(most(find::LookupBody::MAX_BYTES)))
        .service(get("/v1/files", find::files))
        .service(post("/v1/report", report::report).app_data(most(report::ReportBody::MAX_BYTES)))
        .service(get("/v1/stats", stats::stats))
        .service(get("/v1/stats/stream", stats::stream))
        .service(get("/v1/stats/live", live::live))
        .service(get("/v1/operator/peers", operator::peers));
}
