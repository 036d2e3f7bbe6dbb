//! What only the operator may ask.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::web::{Data, Json};
use peer_core::limits::HOLDERS_MAX;
use peer_core::{FileName, Peer};
use registry::HoldersQuery;

use super::find::FoundFile;
use crate::call::Call;
use crate::error::{ApiError, InvalidBody, Refusal};
use crate::server::App;

/// As whom the operator looks: nobody has this address (RFC 6666), so nothing is left out as the caller's own or as
/// reported by it.
const ONLOOKER: IpAddr = IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1));

/// The peers of a file as the operator sees them: with the caller's own and those that it reported.
#[utoipa::path(
    get, path = "/v1/operator/peers", tag = "service",
    security(("operator" = [])),
    params(
        ("filename" = String, Query, description = "Name of the file", min_length = 1, max_length = 1024, pattern = r"^(?!/)(?!(?:.*/)?\.{1,2}(?:/|$))[^\\\u0000-\u001f\u007f-\u009f]+$", example = "site/index.html"),
        ("limit" = Option<u16>, Query, description = "At most as many peers", minimum = 1, maximum = 200, example = 50),
    ),
    responses(
        (status = 200, description = "Peers, none where nobody has the file", body = FoundFile),
        (status = 401, description = "The token of the operator is missing, or is another", body = Refusal),
        (status = 422, description = "A parameter is missing or refused", body = InvalidBody),
        (status = 429, description = "The caller asks too often", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn peers(call: Call, app: Data<App>) -> Result<Json<FoundFile>, ApiError> {
    if !call.operator {
        return Err(ApiError::NotOperator);
    }
    let mut errors = Vec::new();
    let file = call.params.required::<FileName>("filename", &mut errors);
    let limit = call.params.number("limit", (1, HOLDERS_MAX, HOLDERS_MAX), &mut errors);
    let (Some(file), Some(limit), true) = (file, limit, errors.is_empty()) else {
        return Err(ApiError::Invalid(errors));
    };
    let onlooker = Peer::new(ONLOOKER).map_err(|_| ApiError::Unavailable)?;
    let query = HoldersQuery { file, hash: None, limit, exclude: Vec::new() };
    let found = app.registry.holders(onlooker, std::slice::from_ref(&query)).await?.pop();
    Ok(Json(FoundFile::new(&query.file, &found.unwrap_or_default(), &app)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_onlooker_has_an_address_as_peers_do() {
        assert!(Peer::new(ONLOOKER).is_ok());
    }
}
