//! Requests as traces for a collector (OpenTelemetry), in programs that are built with the feature `otlp`. In others
//! nothing of it is there.

#[cfg(feature = "otlp")]
mod otlp;

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use super::RequestId;
use crate::Failure;
use crate::settings::catalogue::{OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER_ARG};
use crate::settings::{BadSetting, Settings};

/// Where traces go, and which.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`; `None` for no traces.
    collector: Option<Collector>,
    /// `OTEL_TRACES_SAMPLER_ARG`: which share of requests is traced, where no proxy has decided that.
    share: f64,
}

impl TraceSettings {
    /// Reads them.
    pub fn read(settings: &Settings) -> Result<Self, BadSetting> {
        let share: f64 = settings.required(&OTEL_TRACES_SAMPLER_ARG)?;
        if !(0.0..=1.0).contains(&share) {
            return Err(settings.refuse(&OTEL_TRACES_SAMPLER_ARG, "a number from 0 to 1"));
        }
        Ok(Self { collector: settings.optional(&OTEL_EXPORTER_OTLP_ENDPOINT)?, share })
    }
}

/// A collector that takes OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Collector(String);

impl FromStr for Collector {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !cfg!(feature = "otlp") {
            return Err("this program was built without traces; build it with --features otlp");
        }
        let rest = text.strip_prefix("http://").ok_or("a URL that starts with http://")?;
        if rest.is_empty() || rest.contains(|letter: char| letter.is_whitespace() || "?#@".contains(letter)) {
            return Err("http://HOST:PORT, and a path if the collector has one");
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
pub struct Served<'a> {
    /// Its method.
    pub method: &'static str,
    /// Its route, one of those that there are.
    pub route: &'static str,
    /// The status of its answer.
    pub status: u16,
    /// How long that took.
    pub took: Duration,
    /// What it is called in the log.
    pub id: &'a RequestId,
    /// Whose it was.
    pub caller: IpAddr,
    /// What it is part of, by the word of a trusted proxy (W3C Trace Context, `traceparent`).
    pub parent: Option<&'a str>,
}

/// Tells a collector of requests, or nobody.
pub struct Traces {
    #[cfg(feature = "otlp")]
    exporter: Option<otlp::Exporter>,
}

impl Traces {
    /// Begins. `service` is what the collector calls us.
    #[cfg_attr(not(feature = "otlp"), expect(unused_variables, reason = "there is nobody to tell"))]
    pub fn start(settings: &TraceSettings, service: &'static str) -> Result<Self, Failure> {
        Ok(Self {
            #[cfg(feature = "otlp")]
            exporter: settings
                .collector
                .as_ref()
                .map(|collector| otlp::Exporter::start(&collector.0, settings.share, service))
                .transpose()?,
        })
    }

    /// Whether anybody is told.
    pub fn are_on(&self) -> bool {
        #[cfg(feature = "otlp")]
        return self.exporter.is_some();
        #[cfg(not(feature = "otlp"))]
        false
    }

    /// Takes note of a request. Never waits: what the collector does not take in time is dropped.
    #[cfg_attr(not(feature = "otlp"), expect(unused_variables, reason = "there is nobody to tell"))]
    pub fn request(&self, served: Served<'_>) {
        #[cfg(feature = "otlp")]
        if let Some(exporter) = &self.exporter {
            exporter.request(served);
        }
    }

    /// Sends what is left. Blocks, for two seconds at most.
    pub fn close(&self) {
        #[cfg(feature = "otlp")]
        if let Some(exporter) = &self.exporter {
            exporter.close();
        }
    }
}
