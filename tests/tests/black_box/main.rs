//! Black-box tests of the programs as a user runs them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports what is wrong by failing"
)]

mod amplification;
mod bad_http;
mod bad_udp;
mod caller;
mod client;
mod commands;
mod connects;
mod container;
mod durability;
mod examples;
mod expiry;
mod fetch_checked;
mod file_names;
mod forged_sources;
mod guides;
mod hello;
mod http_legacy;
mod kubernetes;
mod lab;
mod layout;
mod legacy_import;
mod lifecycle;
mod limits;
mod logging;
mod matchmaker_bounds;
mod metrics;
mod moving;
mod nat;
mod nat_matrix;
mod nat_v2;
mod netcheck;
mod nodes;
mod nodes_chaos;
mod nodes_clients;
mod nodes_lab;
mod nodes_outage;
mod nodes_redis;
mod online;
mod openapi;
mod operations;
mod ownership;
mod pages;
mod parameters;
mod peerctl;
mod peerctl_docs;
mod peerctl_errors;
mod redis_chaos;
mod redis_cluster;
mod redis_outage;
mod redis_tls;
mod settings;
mod signatures;
mod stolen_names;
mod stun;
mod systemd;
mod transfer;
mod udp_legacy;
mod udp_v2;
mod v1;
