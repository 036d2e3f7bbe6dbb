//! The pages for people: `/dashboard` and `/docs`, whole in the program. They load nothing from anywhere else.

use std::sync::LazyLock;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, EntityTag, IF_NONE_MATCH, IfNoneMatch,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{Header, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::resource;

/// Our own files and nothing else: no script or style within the page, no other server, in nobody's frame. Images in
/// `data:` are those of Swagger UI.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of a page.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    body: &'static [u8],
    /// Changes with the content.
    tag: LazyLock<EntityTag, fn() -> EntityTag>,
}

macro_rules! asset {
    ($path:literal, $content_type:ident, $($file:tt)+) => {{
        const BODY: &[u8] = include_bytes!($($file)+);
        Asset { path: $path, content_type: $content_type, body: BODY, tag: LazyLock::new(|| tag(BODY)) }
    }};
}

static ASSETS: [Asset; 18] = [
    asset!("/dashboard", HTML, "../web/dashboard.html"),
    asset!("/dashboard/dashboard.css", CSS, "../web/dashboard.css"),
    asset!("/dashboard/dashboard.js", SCRIPT, "../web/dashboard.js"),
    asset!("/dashboard/charts.js", SCRIPT, "../web/charts.js"),
    asset!("/dashboard/format.js", SCRIPT, "../web/format.js"),
    asset!("/dashboard/samples.js", SCRIPT, "../web/samples.js"),
    asset!("/dashboard/search.js", SCRIPT, "../web/search.js"),
    asset!("/dashboard/tables.js", SCRIPT, "../web/tables.js"),
    asset!("/dashboard/uplot.js", SCRIPT, "../web/vendor/uplot/uPlot.iife.min.js"),
    asset!("/dashboard/uplot.css", CSS, "../web/vendor/uplot/uPlot.min.css"),
    asset!("/docs", HTML, "../web/docs.html"),
    asset!("/docs/docs.js", SCRIPT, "../web/docs.js"),
    asset!("/docs/swagger-ui-bundle.js", SCRIPT, concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js")),
    asset!("/docs/swagger-ui.css", CSS, concat!(env!("OUT_DIR"), "/swagger-ui.css")),
    asset!("/docs/license.txt", TEXT, concat!(env!("OUT_DIR"), "/swagger-ui-license.txt")),
    asset!("/docs/notice.txt", TEXT, concat!(env!("OUT_DIR"), "/swagger-ui-notice.txt")),
    asset!("/dashboard/icon.svg", SVG, "../web/icon.svg"),
    asset!("/dashboard/uplot-license.txt", TEXT, "../web/vendor/uplot/LICENSE"),
];

fn tag(body: &[u8]) -> EntityTag {
    EntityTag::new_strong(BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(body)))
}

/// Puts the routes into an application.
pub(crate) fn routes(config: &mut ServiceConfig) {
    for asset in &ASSETS {
        let serve = move |request: HttpRequest, cached: Header<IfNoneMatch>| async move {
            serve(asset, &request, &cached.into_inner())
        };
        config.service(resource::get(asset.path, serve));
    }
}

/// A browser asks each time whether its copy is still good, so that a page and its script are never of two versions.
fn serve(asset: &Asset, request: &HttpRequest, cached: &IfNoneMatch) -> HttpResponse {
    let is_cached = request.headers().contains_key(IF_NONE_MATCH)
        && match cached {
            IfNoneMatch::Any => true,
            IfNoneMatch::Items(tags) => tags.iter().any(|tag| tag.weak_eq(&asset.tag)),
        };
    let mut response = if is_cached { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((ETAG, asset.tag.to_string()))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"));
    if is_cached {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, asset.content_type)).body(asset.body)
}
