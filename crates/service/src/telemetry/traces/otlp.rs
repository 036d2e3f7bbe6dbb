//! Spans over OTLP/HTTP in protobuf, in batches, by a thread of their own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

use super::Served;
use crate::Failure;
use crate::telemetry::shown;

/// How long the collector may take for a batch.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct Exporter {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    parents: TraceContextPropagator,
}

impl Exporter {
    pub(super) fn start(collector: &str, share: f64, service: &'static str) -> Result<Self, Failure> {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(SEND_TIMEOUT))
            .http_status_as_error(false)
            .build();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender { agent: config.into(), complained: AtomicBool::new(false) })
            .with_endpoint(format!("{collector}/v1/traces"))
            .with_timeout(SEND_TIMEOUT)
            .build()
            .map_err(|error| Failure::run("traces", error))?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))))
            .with_resource(Resource::builder().with_service_name(service).build())
            .build();
        let tracer = provider.tracer("tracker");
        Ok(Self { provider, tracer, parents: TraceContextPropagator::new() })
    }

    pub(super) fn request(&self, served: Served<'_>) {
        let end = SystemTime::now();
        let parent = served.parent.map_or_else(Context::new, |parent| {
            let headers = HashMap::from([("traceparent".to_owned(), parent.to_owned())]);
            self.parents.extract_with_context(&Context::new(), &headers)
        });
        // Names of the semantic conventions for HTTP servers.
        let span = self
            .tracer
            .span_builder(format!("{} {}", served.method, served.route))
            .with_kind(SpanKind::Server)
            .with_start_time(end.checked_sub(served.took).unwrap_or(end))
            .with_attributes([
                KeyValue::new("http.request.method", served.method),
                KeyValue::new("http.route", served.route),
                KeyValue::new("http.response.status_code", i64::from(served.status)),
                KeyValue::new("client.address", shown(served.caller).to_string()),
                KeyValue::new("request_id", served.id.text().to_owned()),
            ]);
        let mut span = self.tracer.build_with_context(span, &parent);
        if served.status >= 500 {
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(end);
    }

    pub(super) fn close(&self) {
        // What could not be sent by then is lost, and said so by the sender.
        let _ = self.provider.shutdown_with_timeout(CLOSE_TIMEOUT);
    }
}

/// Posts batches, on the thread of the batches, which may wait.
#[derive(Debug)]
struct Sender {
    agent: ureq::Agent,
    /// Whether the last batch was not taken.
    complained: AtomicBool,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.post(request);
        let failure = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(answer.status().to_string()),
            Err(error) => Some(error.to_string()),
        };
        let said = self.complained.swap(failure.is_some(), Ordering::Relaxed);
        if let Some(error) = failure.filter(|_| !said) {
            tracing::warn!(error, "the collector does not take traces; those of this time are lost");
        }
        answer
    }
}

impl Sender {
    fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, mut body) = self.agent.run(request.map(|body| body.to_vec()))?.into_parts();
        Ok(Response::from_parts(head, body.read_to_vec()?.into()))
    }
}
