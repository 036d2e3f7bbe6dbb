//! The admin listener, and the Prometheus text that it serves.

use std::net::SocketAddr;

use crate::http::{Answer, Connection, Request};

/// The admin listener of a service.
#[derive(Clone, Copy, Debug)]
pub struct Admin {
    address: SocketAddr,
}

impl Admin {
    /// At this address.
    pub fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// `GET` of any path.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        Connection::open(self.address)
            .and_then(|mut connection| connection.exchange(&Request::get(path)))
            .expect("the admin listener answers")
    }

    /// The status of `/live`.
    #[track_caller]
    pub fn live(&self) -> u16 {
        self.get("/live").status
    }

    /// The status of `/ready`.
    #[track_caller]
    pub fn ready(&self) -> u16 {
        self.get("/ready").status
    }

    /// All samples of `/metrics`.
    #[track_caller]
    pub fn samples(&self) -> Vec<Sample> {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "/metrics: {}", answer.text());
        answer.text().lines().filter_map(Sample::parse).collect()
    }

    /// The sum of the samples of this name whose labels hold all of `labels`.
    #[track_caller]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.samples();
        let chosen = samples.iter().filter(|sample| sample.name == name);
        chosen
            .filter(|sample| labels.iter().all(|(key, value)| sample.has(key, value)))
            .map(|s| s.value)
            .sum()
    }
}

/// One line of the Prometheus text.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The metric's name, with its suffix.
    pub name: String,
    /// The text between the braces.
    pub labels: String,
    /// The figure.
    pub value: f64,
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        Some(Self {
            name: name.to_owned(),
            labels: labels.strip_suffix('}')?.to_owned(),
            value: value.parse().ok()?,
        })
    }

    /// Whether it has this label with this value.
    pub fn has(&self, label: &str, value: &str) -> bool {
        self.labels.contains(&format!("{label}=\"{value}\""))
    }
}
