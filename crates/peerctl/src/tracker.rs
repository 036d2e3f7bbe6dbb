//! The HTTP API of a tracker, as docs/PROTOCOL.md has it.

mod answers;
mod error;
mod events;
mod refusal;
mod signature;

use std::fmt::Display;
use std::thread;
use std::time::Duration;

use peer_core::limits::{LOOKUP_MAX, PUBLISH_MAX};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use answers::Found;
pub use answers::{Alive, FilesPage, Holder, Holders, Published, Stats, Verdict};
pub use error::TrackerError;
pub use events::{StatsEvent, StatsEvents};

use crate::identity::Identity;
use crate::site::HashedFile;

/// Longest wait for a connection, in seconds.
const CONNECT_TIMEOUT_SECS: u64 = 10;
/// Longest wait for the answer to a request, in seconds.
const ANSWER_TIMEOUT_SECS: u64 = 30;
/// Largest answer that is read, in bytes.
const ANSWER_MAX_BYTES: u64 = 16 << 20;
/// How often a request is made again that the tracker was too busy for.
const RETRIES_MAX: u32 = 3;
/// Longest wait before that, in seconds, whatever the tracker asks for.
const RETRY_AFTER_MAX_SECS: u64 = 30;
/// What a query value may hold as it is (RFC 3986 section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A tracker, and who speaks to it.
#[derive(Debug)]
pub struct Tracker {
    agent: Agent,
    /// Scheme and authority, without a slash at the end.
    origin: String,
    /// The `Host` header.
    host: String,
    /// What the tracker calls itself in signatures.
    server_name: String,
    identity: Option<Identity>,
}

impl Tracker {
    /// The one at `url`, `http://` or `https://` with a host and nothing after it. `server_name` is its `SERVER_NAME`, where
    /// that differs from the host of the URL. Nothing is sent yet.
    pub fn new(
        url: &str,
        server_name: Option<&str>,
        identity: Option<Identity>,
    ) -> Result<Self, TrackerError> {
        let uri: Uri = url.parse().map_err(|_| TrackerError::Url(url.to_owned()))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        let (Some(authority), "http" | "https", "" | "/", None) =
            (uri.authority(), scheme, uri.path(), uri.query())
        else {
            return Err(TrackerError::Url(url.to_owned()));
        };
        if authority.as_str().contains('@') {
            return Err(TrackerError::Credentials);
        }
        let host = authority.as_str().to_ascii_lowercase();
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("peerctl/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(CONNECT_TIMEOUT_SECS)))
            .timeout_recv_response(Some(Duration::from_secs(ANSWER_TIMEOUT_SECS)));
        if scheme == "https" {
            config = config.tls_config(tls_config()?);
        }
        Ok(Self {
            agent: config.build().new_agent(),
            origin: format!("{scheme}://{host}"),
            server_name: server_name.map_or_else(|| host.clone(), str::to_ascii_lowercase),
            host,
            identity,
        })
    }

    /// Publishes up to 1,000 files at once; `port` is where this peer serves them, and `ttl` how many seconds it lives after a
    /// sign of life.
    pub fn publish(
        &self,
        files: &[HashedFile],
        port: Option<u16>,
        ttl: Option<u64>,
    ) -> Result<Published, TrackerError> {
        debug_assert!(files.len() <= PUBLISH_MAX);
        let files: Vec<_> = files
            .iter()
            .map(|file| json!({"filename": file.name.as_str(), "hash": file.digest, "size": file.size}))
            .collect();
        self.post("/v1/publish", &json!({"peer": self.claim(port), "files": files, "ttl": ttl}))
    }

    /// A sign of life for all that this peer has published.
    pub fn heartbeat(&self, port: Option<u16>, ttl: Option<u64>) -> Result<Alive, TrackerError> {
        self.post("/v1/heartbeat", &json!({"peer": self.claim(port), "ttl": ttl}))
    }

    fn claim(&self, port: Option<u16>) -> serde_json::Value {
        json!({"id": self.identity.as_ref().map(Identity::id), "port": port})
    }

    /// Who has a file, at most `limit` of them.
    pub fn peers(&self, filename: &str, hash: Option<&str>, limit: usize) -> Result<Holders, TrackerError> {
        let limit = limit.to_string();
        let mut query = vec![("filename", filename), ("limit", &limit)];
        query.extend(hash.map(|hash| ("hash", hash)));
        self.get("/v1/peers", &query)
    }

    /// Who has each of these files, up to 200 at once, at most `limit` peers of each. The answers have the order of the names.
    pub fn lookup(&self, filenames: &[&str], limit: usize) -> Result<Vec<Holders>, TrackerError> {
        debug_assert!(filenames.len() <= LOOKUP_MAX);
        let found: Found = self.post("/v1/lookup", &json!({"filenames": filenames, "limit": limit}))?;
        let asked = found.files.iter().map(|file| file.filename.as_str());
        if asked.eq(filenames.iter().copied()) {
            Ok(found.files)
        } else {
            Err(self.misread(&"other files than those that were asked for"))
        }
    }

    /// The files whose names start with `prefix`, from `cursor` on, at most `limit` of them.
    pub fn files(&self, prefix: &str, cursor: Option<&str>, limit: usize) -> Result<FilesPage, TrackerError> {
        let limit = limit.to_string();
        let mut query = vec![("prefix", prefix), ("limit", &limit)];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        self.get("/v1/files", &query)
    }

    /// How much there is, every second, for as long as both sides like.
    pub fn watch(&self) -> Result<StatsEvents, TrackerError> {
        let response = self.send(|| {
            self.agent
                .get(format!("{}/v1/stats/stream", self.origin))
                .header("Host", &self.host)
                .header("Accept", "text/event-stream")
                .call()
        })?;
        Ok(StatsEvents::new(response.into_body().into_reader()))
    }

    /// Its name as it was given: scheme and authority.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, TrackerError> {
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, UNRESERVED)))
            .collect();
        let target = format!("{}{path}?{}", self.origin, query.join("&"));
        self.read(self.send(|| self.agent.get(&target).header("Host", &self.host).call())?)
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, TrackerError> {
        // Of values that all have a form in JSON.
        let body = serde_json::to_vec(body).map_err(|error| self.misread(&error))?;
        let target = format!("{}{path}", self.origin);
        self.read(self.send(|| {
            let mut request = self
                .agent
                .post(&target)
                .header("Host", &self.host)
                .header("Content-Type", "application/json");
            if let Some(identity) = &self.identity {
                // A new one for each attempt: a signature serves once.
                let signature = signature::header(identity, path, &body, &self.server_name);
                request = request.header(signature::PEER_SIGNATURE, signature);
            }
            request.send(body.as_slice())
        })?)
    }

    /// Makes a request, and makes it again where the tracker says to come back.
    fn send(
        &self,
        attempt: impl Fn() -> Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>, TrackerError> {
        let mut retries = 0;
        loop {
            let response = attempt().map_err(|error| TrackerError::NotAsked {
                origin: self.origin.clone(),
                why: Box::new(error),
            })?;
            if response.status().is_success() {
                return Ok(response);
            }
            match refusal::retry_after_secs(&response) {
                Some(secs) if retries < RETRIES_MAX => {
                    retries += 1;
                    thread::sleep(Duration::from_secs(secs.min(RETRY_AFTER_MAX_SECS)));
                }
                _ => return Err(refusal::read(self.origin.clone(), response)),
            }
        }
    }

    fn read<T: DeserializeOwned>(&self, response: Response<Body>) -> Result<T, TrackerError> {
        let body = response.into_body().into_with_config().limit(ANSWER_MAX_BYTES).read_json();
        body.map_err(|error| self.misread(&error))
    }

    fn misread(&self, why: &dyn Display) -> TrackerError {
        TrackerError::Form { origin: self.origin.clone(), why: why.to_string() }
    }
}

/// Trusts whom the operating system trusts, so that a certificate of a private network needs no switch here.
fn tls_config() -> Result<TlsConfig, TrackerError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(TrackerError::NoCertificates(why.join("; ")));
    }
    let roots = found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .unversioned_rustls_crypto_provider(rustls::crypto::ring::default_provider().into())
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tracker_is_a_scheme_and_a_host() {
        for good in ["http://127.0.0.1:8000", "https://tracker.example.org/", "http://[::1]:8000"] {
            assert!(Tracker::new(good, None, None).is_ok(), "{good}");
        }
        for bad in [
            "",
            "tracker.example.org",
            "ftp://tracker.example.org",
            "http://tracker.example.org/under",
            "http://tracker.example.org/?x=1",
            "http://me:secret@tracker.example.org",
        ] {
            assert!(Tracker::new(bad, None, None).is_err(), "{bad}");
        }
    }
}
