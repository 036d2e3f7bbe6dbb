//! A path, the method that it takes, and what answers all others.

use actix_web::guard::fn_guard;
use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, web};

use crate::error::ApiError;

/// Takes GET.
pub(crate) fn get<H, A>(path: &str, handler: H) -> Resource
where
    H: Handler<A, Output: Responder + 'static>,
    A: FromRequest + 'static,
{
    resource(path, |method| *method == Method::GET, "GET", handler)
}

/// Takes POST.
pub(crate) fn post<H, A>(path: &str, handler: H) -> Resource
where
    H: Handler<A, Output: Responder + 'static>,
    A: FromRequest + 'static,
{
    resource(path, |method| *method == Method::POST, "POST", handler)
}

/// Takes either, for the same.
pub(crate) fn get_or_post<H, A>(path: &str, handler: H) -> Resource
where
    H: Handler<A, Output: Responder + 'static>,
    A: FromRequest + 'static,
{
    resource(path, |method| *method == Method::GET || *method == Method::POST, "GET, POST", handler)
}

/// The guards of actix-web itself note in a table of each request what they have looked for, to make an `Allow` of it. To make and
/// drop that table took some 700 instructions a request, and here the header is known beforehand.
fn resource<H, A>(path: &str, takes: fn(&Method) -> bool, allow: &'static str, handler: H) -> Resource
where
    H: Handler<A, Output: Responder + 'static>,
    A: FromRequest + 'static,
{
    web::resource(path)
        .route(web::route().guard(fn_guard(move |context| takes(&context.head().method))).to(handler))
        .default_service(web::to(move || async move { not_allowed(allow) }))
}

fn not_allowed(allow: &'static str) -> Result<HttpResponse, ApiError> {
    Err(ApiError::MethodNotAllowed(allow))
}
