use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use actix_web::web::{Bytes, Data};
use actix_web::{FromRequest, HttpRequest};
use peer_core::Peer;

use crate::caller;
use crate::error::ApiError;
use crate::params::Params;
use crate::server::App;

/// How long the body of a request may take: it has 64 KiB at most.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A request as the routes see it: whose it is and what it says.
pub(crate) struct Call {
    pub(crate) caller: Peer,
    pub(crate) params: Params,
    cross_site: bool,
}

impl Call {
    /// To be asked before anything is changed. Browsers mark what a page of another site makes them send (W3C
    /// Fetch Metadata); since a GET can publish here, an image in a foreign page could otherwise.
    pub(crate) fn may_change(&self) -> Result<(), ApiError> {
        if self.cross_site { Err(ApiError::CrossSite) } else { Ok(()) }
    }
}

impl FromRequest for Call {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // Its limit is that of the App's PayloadConfig.
        let body = Bytes::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let body = tokio::time::timeout(BODY_TIMEOUT, body).await.map_err(|_| ApiError::TooSlow)?;
            let body = body.map_err(|error| match error.as_error::<PayloadError>() {
                Some(PayloadError::Overflow) => ApiError::TooLarge,
                _ => ApiError::BrokenBody,
            })?;
            let app = request.app_data::<Data<App>>().ok_or(ApiError::Unavailable)?;
            let socket = request.peer_addr().ok_or(ApiError::Unavailable)?;
            let caller =
                caller::resolve(socket, request.headers(), &app.trusted).ok_or(ApiError::Unavailable)?;
            if caller.broken_headers > 0 {
                app.metrics.broken_proxy_headers.inc_by(caller.broken_headers.into());
            }
            let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
            let content_type = header(CONTENT_TYPE).unwrap_or_default();
            Ok(Self {
                caller: caller.peer,
                params: Params::read(request.query_string(), content_type, &body)?,
                cross_site: header(SEC_FETCH_SITE) == Some("cross-site"),
            })
        })
    }
}
