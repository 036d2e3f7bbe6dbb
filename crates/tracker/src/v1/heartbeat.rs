//! A peer says that it is still there.

use actix_web::web::{Data, Json};
use peer_core::limits::BODY_MAX_BYTES;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Body, Post};
use super::schema::whole;
use super::speaker::{Life, PeerClaim, publisher};
use crate::error::{ApiError, InvalidBody, Refusal};
use crate::server::App;

/// A sign of life.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct HeartbeatBody {
    /// Whose: by id, or the caller's address.
    #[serde(default)]
    peer: Option<PeerClaim>,
    /// A new time to live, in seconds.
    #[schema(minimum = 30, maximum = 315_360_000)]
    #[serde(default, deserialize_with = "whole")]
    ttl: Option<u64>,
}

impl Body for HeartbeatBody {
    const MAX_BYTES: usize = BODY_MAX_BYTES;

    fn id(&self) -> Option<&str> {
        self.peer.as_ref()?.id.as_deref()
    }
}

/// Whether a peer is there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"alive": true, "ttl": 3600, "keepalive": 1800}))]
pub(crate) struct HeartbeatAnswer {
    /// False when the peer has nothing published, or was silent for too long: it has to publish again.
    alive: bool,
    #[serde(flatten)]
    life: Life,
}

/// A sign of life: it keeps all files of the peer, however many they are.
///
/// A peer with an id is from now on where this came from. It also brings back what was withheld after reports, when its wait is
/// over.
#[utoipa::path(
    post, path = "/v1/heartbeat", tag = "peers", request_body(content = HeartbeatBody, description = "May be left out", example = json!({"ttl": 3600})),
    params(("Peer-Signature" = Option<String>, Header, description = "`id=ID, time=SECONDS, sig=SIGNATURE`, where an id speaks")),
    responses(
        (status = 200, description = "Whether the peer is there", body = HeartbeatAnswer),
        (status = 401, description = "A signature is missing or not good", body = Refusal),
        (status = 413, description = "The body is too large", body = Refusal),
        (status = 415, description = "Not JSON", body = Refusal),
        (status = 422, description = "Not as wanted", body = InvalidBody),
        (status = 429, description = "The caller asks too often", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn heartbeat(
    post: Post<HeartbeatBody>,
    app: Data<App>,
) -> Result<Json<HeartbeatAnswer>, ApiError> {
    let publisher = publisher(&post, post.body.peer.as_ref(), post.body.ttl)?;
    let alive = app.registry.heartbeat(&publisher).await?;
    Ok(Json(HeartbeatAnswer { alive, life: Life::new(app.peer_ttl_secs, post.body.ttl) }))
}
