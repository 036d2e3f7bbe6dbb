use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use peer_core::{FileName, Owner, Peer, PeerId};
use serde::de::DeserializeOwned;

use crate::call;
use crate::error::{ApiError, FieldError};
use crate::server::App;
use crate::signature::{self, BadSignature};

/// What a POST says.
pub(crate) trait Body: DeserializeOwned + 'static {
    /// Largest that is read, in bytes.
    const MAX_BYTES: usize;

    /// The id that it names, if any.
    fn id(&self) -> Option<&str> {
        None
    }
}

/// A POST as the routes see it: who makes it and what it says.
pub(crate) struct Post<B> {
    pub(crate) caller: Peer,
    /// Whose mappings it is about: the id that signed it, or else the caller's address.
    pub(crate) owner: Owner,
    /// Whether the operator makes it.
    pub(crate) operator: bool,
    pub(crate) body: B,
}

impl<B: Body> FromRequest for Post<B> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = call::body(request, payload, B::MAX_BYTES);
        let request = request.clone();
        Box::pin(async move {
            let bytes = bytes.await?;
            if call::is_cross_site(&request) {
                return Err(ApiError::CrossSite);
            }
            let caller = call::caller()?;
            let body: B = read(call::content_type(&request), &bytes)?;
            let app = request.app_data::<Data<App>>().ok_or(ApiError::Unavailable)?;
            let signer = signature::verify(&request, &bytes, app.server_name.as_ref(), &*app.registry).await;
            let signer = signer.and_then(|signer| matching(signer, body.id()));
            if let Err(ApiError::Signature(_)) = &signer {
                app.metrics.bad_signatures.inc();
            }
            let owner = signer?.map_or(Owner::Address(caller), Owner::Key);
            Ok(Self { caller, owner, operator: call::is_operator(&request), body })
        })
    }
}

/// Nobody speaks for an id but the holder of its key.
fn matching(signer: Option<PeerId>, named: Option<&str>) -> Result<Option<PeerId>, ApiError> {
    match (signer, named) {
        (signer, None) => Ok(signer),
        (None, Some(_)) => Err(BadSignature::Missing.into()),
        (Some(signer), Some(named)) if named.parse() == Ok(signer) => Ok(Some(signer)),
        (Some(_), Some(_)) => Err(BadSignature::OtherId.into()),
    }
}

/// An empty body says nothing, as `{}` does.
fn read<B: Body>(content_type: &str, bytes: &[u8]) -> Result<B, ApiError> {
    if !bytes.is_empty() {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(ApiError::NotJson);
        }
    }
    let text = if bytes.is_empty() { b"{}" } else { bytes };
    // serde would take a list for an object, its items in the order of the fields.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::Invalid(vec![FieldError::body("a JSON object is wanted".to_owned())]));
    }
    serde_json::from_slice(text).map_err(|error| {
        ApiError::Invalid(vec![FieldError::body(format!("the JSON is not as wanted: {error}"))])
    })
}

/// The names in a list, all of which have to be good.
pub(super) fn file_names(
    list: &'static str,
    names: &[String],
    most: usize,
) -> Result<Vec<FileName>, ApiError> {
    if names.len() > most {
        return Err(ApiError::TooMany { what: "names", most });
    }
    let mut errors = Vec::new();
    let mut files = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        match name.parse() {
            Ok(file) => files.push(file),
            Err(why) => errors.push(FieldError::refused_item(list, index, why, Some(name))),
        }
    }
    if errors.is_empty() { Ok(files) } else { Err(ApiError::Invalid(errors)) }
}
