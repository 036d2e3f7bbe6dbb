use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use actix_web::web::{Bytes, Data};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::Either;
use peer_core::Peer;
use peer_core::limits::BODY_MAX_BYTES;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::params::Params;
use crate::server::App;

/// How long the body of a request may take: it has 2 MiB at most.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

tokio::task_local! {
    static ENTERED: Caller;
}

/// A request as the routes see it: whose it is and what it says.
pub(crate) struct Call {
    pub(crate) caller: Peer,
    pub(crate) params: Params,
    /// Whether the operator makes it.
    pub(crate) operator: bool,
    cross_site: bool,
}

impl Call {
    /// To be asked before anything is changed.
    pub(crate) fn may_change(&self) -> Result<(), ApiError> {
        if self.cross_site { Err(ApiError::CrossSite) } else { Ok(()) }
    }
}

impl Call {
    fn read(request: &HttpRequest, body: &[u8]) -> Result<Self, ApiError> {
        Ok(Self {
            caller: caller()?,
            params: Params::read(request.query_string(), content_type(request), body)?,
            operator: is_operator(request),
            cross_site: is_cross_site(request),
        })
    }
}

impl FromRequest for Call {
    type Error = ApiError;
    type Future =
        Either<Ready<Result<Self, ApiError>>, Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // Most have no body, and need no timer for it.
        if matches!(payload, Payload::None) {
            return Either::Left(ready(Self::read(request, &[])));
        }
        let body = body(request, payload, BODY_MAX_BYTES);
        let request = request.clone();
        Either::Right(Box::pin(async move { Self::read(&request, &body.await?) }))
    }
}

/// Serves a request so that its handler knows whose it is. To put that into the request's extensions would make a table for each
/// request, which nothing else needs.
pub(crate) fn entering<F: Future>(caller: Caller, served: F) -> impl Future<Output = F::Output> {
    ENTERED.scope(caller, served)
}

/// Whose request is being served, as was found out when it came in.
pub(crate) fn entered() -> Result<Caller, ApiError> {
    ENTERED.try_with(|caller| *caller).map_err(|_| ApiError::Unavailable)
}

/// The peer that it speaks for.
pub(crate) fn caller() -> Result<Peer, ApiError> {
    entered().map(|caller| caller.peer)
}

/// Whether the request shows the operator's token.
pub(crate) fn is_operator(request: &HttpRequest) -> bool {
    let token = request.app_data::<Data<App>>().and_then(|app| app.operator.as_ref());
    token.is_some_and(|token| token.is_shown_by(request.headers()))
}

/// Whether a page of another site made a browser send it. Browsers mark that (W3C Fetch Metadata); since a GET can
/// publish here, an image in a foreign page could otherwise.
pub(crate) fn is_cross_site(request: &HttpRequest) -> bool {
    request.headers().get(SEC_FETCH_SITE).is_some_and(|site| site.as_bytes() == b"cross-site")
}

/// What the body says that it is.
pub(crate) fn content_type(request: &HttpRequest) -> &str {
    request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The body, of at most `most` bytes, which is what the `PayloadConfig` of its path allows.
pub(crate) fn body(
    request: &HttpRequest,
    payload: &mut Payload,
    most: usize,
) -> impl Future<Output = Result<Bytes, ApiError>> + use<> {
    let body = Bytes::from_request(request, payload);
    async move {
        let body = tokio::time::timeout(BODY_TIMEOUT, body).await.map_err(|_| ApiError::TooSlow)?;
        body.map_err(|error| match error.as_error::<PayloadError>() {
            Some(PayloadError::Overflow) => ApiError::TooLarge(most),
            _ => ApiError::BrokenBody,
        })
    }
}
