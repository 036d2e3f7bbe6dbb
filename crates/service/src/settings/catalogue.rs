use std::fmt::Write as _;

/// One setting: its name in the environment (in a file the same in lower case), its default and its meaning.
#[derive(Debug)]
pub struct Setting {
    /// Name of the environment variable.
    pub name: &'static str,
    /// What rules when nobody sets it; empty means "not set".
    pub default: &'static str,
    /// Whether its value must not be shown.
    pub secret: bool,
    /// Meaning, form and unit, a sentence or more.
    pub meaning: &'static str,
}

const fn setting(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default, secret: false, meaning }
}

/// `TRACKER_LISTEN`
pub static TRACKER_LISTEN: Setting = setting(
    "TRACKER_LISTEN",
    "0.0.0.0:8000,[::]:8000",
    "Addresses of the tracker's HTTP API, ADDRESS:PORT, separated by commas. Port 0 takes a free one.",
);
/// `TRACKER_ADMIN_LISTEN`
pub static TRACKER_ADMIN_LISTEN: Setting = setting(
    "TRACKER_ADMIN_LISTEN",
    "127.0.0.1:8001",
    "Addresses of the tracker's /live, /ready and /metrics. Keep them inside: they ask nobody for a password.",
);
/// `MATCHMAKER_LISTEN`
pub static MATCHMAKER_LISTEN: Setting = setting(
    "MATCHMAKER_LISTEN",
    "0.0.0.0:12345,[::]:12345",
    "Addresses of the matchmaker, UDP, ADDRESS:PORT, separated by commas. Port 0 takes a free one.",
);
/// `MATCHMAKER_ADMIN_LISTEN`
pub static MATCHMAKER_ADMIN_LISTEN: Setting = setting(
    "MATCHMAKER_ADMIN_LISTEN",
    "127.0.0.1:8002",
    "Addresses of the matchmaker's /live, /ready and /metrics.",
);
/// `REDIS_URL`
pub static REDIS_URL: Setting = Setting {
    name: "REDIS_URL",
    default: "",
    secret: true,
    meaning: "Redis that keeps the tracker's data: redis://[user:password@]host[:port][/db], behind Sentinels \
              redis+sentinel://[user:password@]host[:port],host[:port]/master[/db], a Cluster \
              redis+cluster://[user:password@]host[:port],host[:port]; rediss in place of redis with TLS. \
              Not set, the embedded store in DATA_DIR keeps them.",
};
/// `DATA_DIR`
pub static DATA_DIR: Setting = setting(
    "DATA_DIR",
    "./data",
    "Folder of the embedded store; it is made when missing, and one process at a time may use it.",
);
/// `PEER_TTL_SECS`
pub static PEER_TTL_SECS: Setting = setting(
    "PEER_TTL_SECS",
    "86400",
    "Seconds after which a peer that gave no sign of life is not handed out any more, 0 to 315360000; 0 is never. \
     Any accepted request of the peer is a sign of life.",
);
/// `TRUSTED_PROXIES`
pub static TRUSTED_PROXIES: Setting = setting(
    "TRUSTED_PROXIES",
    "loopback,private",
    "Whose cf-connecting-ip and x-forwarded-for headers are believed: addresses, networks such as 10.0.0.0/8, and \
     the words loopback, private, cloudflare and none, separated by commas.",
);
/// `TRACKER_RATE_PER_SEC`
pub static TRACKER_RATE_PER_SEC: Setting = setting(
    "TRACKER_RATE_PER_SEC",
    "200",
    "Requests a second that a caller, an IPv4 address or an IPv6 /64, may make, 0 to 1000000, and ten times as many at \
     once; 0 is without limit. Loopback callers that no proxy speaks for have none.",
);
/// `SERVER_NAME`
pub static SERVER_NAME: Setting = setting(
    "SERVER_NAME",
    "",
    "Name of this service in signatures of peers, such as tracker.example.org, so that a signature made for another \
     service is worth nothing here. Not set, it is what the Host header of each request says.",
);
/// `ADMIN_TOKEN`
pub static ADMIN_TOKEN: Setting = Setting {
    name: "ADMIN_TOKEN",
    default: "",
    secret: true,
    meaning: "Token of the operator, 16 to 256 visible ASCII characters, sent as Authorization: Bearer TOKEN: his word \
              alone takes a peer from everybody. Not set, nobody is the operator.",
};
/// `DASHBOARD_MATCHMAKER`
pub static DASHBOARD_MATCHMAKER: Setting = setting(
    "DASHBOARD_MATCHMAKER",
    "",
    "Admin listener of the matchmaker that the tracker's /dashboard tells of, ADDRESS:PORT, or off. Not set, it is the \
     first address of MATCHMAKER_ADMIN_LISTEN; where nobody answers there, the page says so.",
);
/// `MAX_CLIENTS`
pub static MAX_CLIENTS: Setting = setting(
    "MAX_CLIENTS",
    "1000000",
    "Registrations that the matchmaker keeps, of legacy peers and as many of peers of version 2, 1 to 100000000. When it \
     is full, legacy ones that were heard only once make room, and live ones that were heard again stay.",
);
/// `MATCHMAKER_LEGACY`
pub static MATCHMAKER_LEGACY: Setting = setting(
    "MATCHMAKER_LEGACY",
    "limited",
    "What is done with legacy datagrams, whose sources can be forged: limited answers them within the limits below, \
     on without any (private networks, benchmarks), off not at all.",
);
/// `MATCHMAKER_SOURCE_RATE`
pub static MATCHMAKER_SOURCE_RATE: Setting = setting(
    "MATCHMAKER_SOURCE_RATE",
    "200/1000",
    "Answers to a source, an IPv4 address or an IPv6 /64: so many a second / at once, each 1 to 1000000. What is \
     over a limit gets no answer and is counted.",
);
/// `MATCHMAKER_PAIR_RATE`
pub static MATCHMAKER_PAIR_RATE: Setting = setting(
    "MATCHMAKER_PAIR_RATE",
    "4/8",
    "Connects of one source to one target: so many a second / at once.",
);
/// `MATCHMAKER_TARGET_RATE`
pub static MATCHMAKER_TARGET_RATE: Setting = setting(
    "MATCHMAKER_TARGET_RATE",
    "50/100",
    "Connects that a target is told of, whoever asks: so many a second / at once.",
);
/// `MATCHMAKER_UNREGISTERED_RATE`
pub static MATCHMAKER_UNREGISTERED_RATE: Setting = setting(
    "MATCHMAKER_UNREGISTERED_RATE",
    "100/200",
    "Connects of all sources together that are not registered: so many a second / at once.",
);
/// `MATCHMAKER_UNREGISTERED_TARGET_RATE`
pub static MATCHMAKER_UNREGISTERED_TARGET_RATE: Setting = setting(
    "MATCHMAKER_UNREGISTERED_TARGET_RATE",
    "10/10",
    "Connects that a target is told of by sources that are not registered: so many a second / at once.",
);
/// `MATCHMAKER_UNREGISTERED_BURST_BYTES`
pub static MATCHMAKER_UNREGISTERED_BURST_BYTES: Setting = setting(
    "MATCHMAKER_UNREGISTERED_BURST_BYTES",
    "4096",
    "Bytes that a source which is not registered may make the matchmaker send beyond those that it sent itself, 0 to \
     1048576. They are granted again over ten minutes.",
);
/// `MATCHMAKER_LIMIT_LOOPBACK`
pub static MATCHMAKER_LIMIT_LOOPBACK: Setting = setting(
    "MATCHMAKER_LIMIT_LOOPBACK",
    "off",
    "Whether the limits hold for loopback sources too, which nobody outside can forge: on or off.",
);
/// `MATCHMAKER_ALT_PORT`
pub static MATCHMAKER_ALT_PORT: Setting = setting(
    "MATCHMAKER_ALT_PORT",
    "",
    "A second port on which the matchmaker is there too, on each address of MATCHMAKER_LISTEN, so that a peer can find \
     out how its NAT maps it. 0 takes a free one. Not set, there is none.",
);
/// `MATCHMAKER_STUN`
pub static MATCHMAKER_STUN: Setting = setting(
    "MATCHMAKER_STUN",
    "on",
    "Whether STUN is answered (RFC 8489), on the matchmaker's own ports: on or off. A source is answered within its rate \
     and gets no more bytes than it sent, but for MATCHMAKER_UNREGISTERED_BURST_BYTES.",
);
/// `MATCHMAKER_STUN_OTHER`
pub static MATCHMAKER_STUN_OTHER: Setting = setting(
    "MATCHMAKER_STUN_OTHER",
    "",
    "Pairs of addresses of this host for NAT behaviour discovery (RFC 5780): ADDRESS/ADDRESS, both IPv4 or both IPv6, \
     such as 192.0.2.1/192.0.2.2, separated by commas, at most 8. Needs MATCHMAKER_ALT_PORT. Not set, a request to be \
     answered from another address is refused.",
);
/// `MATCHMAKER_STUN_SOFTWARE`
pub static MATCHMAKER_STUN_SOFTWARE: Setting = setting(
    "MATCHMAKER_STUN_SOFTWARE",
    "off",
    "Whether answers to STUN name this program and its version: on or off.",
);
/// `MATCHMAKER_TOKEN_KEY`
pub static MATCHMAKER_TOKEN_KEY: Setting = Setting {
    name: "MATCHMAKER_TOKEN_KEY",
    default: "",
    secret: true,
    meaning: "Key of the tokens that peers of version 2 get, 32 hex digits (openssl rand -hex 16), and after a comma the key \
              before it, whose tokens are good for three more minutes. Servers that share it take each other's tokens. \
              Not set, the server makes one up when it starts.",
};
/// `MATCHMAKER_NODES`
pub static MATCHMAKER_NODES: Setting = setting(
    "MATCHMAKER_NODES",
    "off",
    "Whether this matchmaker meets those that share its Redis (REDIS_URL), so that peers of one reach peers of another: on or off.",
);
/// `MATCHMAKER_PUBLIC`
pub static MATCHMAKER_PUBLIC: Setting = setting(
    "MATCHMAKER_PUBLIC",
    "",
    "Where peers reach this matchmaker, ADDRESS:PORT, at most 4, separated by commas: peers of another one that ends are told to \
     move there. Not set, it is what MATCHMAKER_LISTEN binds, without those for all addresses.",
);
/// `DRAIN_SECS`
pub static DRAIN_SECS: Setting = setting(
    "DRAIN_SECS",
    "20",
    "Seconds that a matchmaker which meets others serves on after SIGTERM, 0 to 600, while its peers of version 2 move to the \
     others; it ends as soon as all have.",
);
/// `LOG_FORMAT`
pub static LOG_FORMAT: Setting =
    setting("LOG_FORMAT", "text", "Form of the log lines on standard output: text or json.");
/// `LOG_ADDRESSES`
pub static LOG_ADDRESSES: Setting = setting(
    "LOG_ADDRESSES",
    "full",
    "How the log shows addresses of peers: full, or masked, which leaves of an IPv4 address its /24 and of an IPv6 address its \
     /48. Addresses of this host are shown either way.",
);
/// `RUST_LOG`
pub static RUST_LOG: Setting = setting(
    "RUST_LOG",
    "info",
    "What is logged: a level (error, warn, info, debug, trace), or levels by module such as info,tracker=debug.",
);

/// `OTEL_EXPORTER_OTLP_ENDPOINT`
pub static OTEL_EXPORTER_OTLP_ENDPOINT: Setting = setting(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "",
    "Collector (OpenTelemetry) that the tracker sends a trace of each request to, by OTLP over HTTP: http://HOST:4318. Needs a \
     program that was built with --features otlp. Not set, there are no traces.",
);
/// `OTEL_TRACES_SAMPLER_ARG`
pub static OTEL_TRACES_SAMPLER_ARG: Setting = setting(
    "OTEL_TRACES_SAMPLER_ARG",
    "1",
    "Share of requests that are traced, 0 to 1, where no trusted proxy has decided that already (traceparent).",
);

/// All settings, in the order of the sample file.
pub static CATALOGUE: &[&Setting] = &[
    &TRACKER_LISTEN,
    &TRACKER_ADMIN_LISTEN,
    &TRUSTED_PROXIES,
    &REDIS_URL,
    &DATA_DIR,
    &PEER_TTL_SECS,
    &TRACKER_RATE_PER_SEC,
    &SERVER_NAME,
    &ADMIN_TOKEN,
    &DASHBOARD_MATCHMAKER,
    &MATCHMAKER_LISTEN,
    &MATCHMAKER_ADMIN_LISTEN,
    &MAX_CLIENTS,
    &MATCHMAKER_LEGACY,
    &MATCHMAKER_SOURCE_RATE,
    &MATCHMAKER_PAIR_RATE,
    &MATCHMAKER_TARGET_RATE,
    &MATCHMAKER_UNREGISTERED_RATE,
    &MATCHMAKER_UNREGISTERED_TARGET_RATE,
    &MATCHMAKER_UNREGISTERED_BURST_BYTES,
    &MATCHMAKER_LIMIT_LOOPBACK,
    &MATCHMAKER_ALT_PORT,
    &MATCHMAKER_STUN,
    &MATCHMAKER_STUN_OTHER,
    &MATCHMAKER_STUN_SOFTWARE,
    &MATCHMAKER_TOKEN_KEY,
    &MATCHMAKER_NODES,
    &MATCHMAKER_PUBLIC,
    &DRAIN_SECS,
    &LOG_FORMAT,
    &LOG_ADDRESSES,
    &RUST_LOG,
    &OTEL_EXPORTER_OTLP_ENDPOINT,
    &OTEL_TRACES_SAMPLER_ARG,
];

const SAMPLE_WIDTH: usize = 110;

/// The text of `deploy/settings.sample.toml`.
pub fn sample() -> String {
    let mut text = String::from(
        "# All settings with their defaults, made from the program's own list.\n\
         # Give the file with --config FILE. An environment variable of the same name in capitals wins over it,\n\
         # and a flag wins over both. An empty value means \"not set\".\n",
    );
    for setting in CATALOGUE {
        text.push('\n');
        let mut line = String::from("#");
        for word in setting.meaning.split_whitespace() {
            if line.len() + 1 + word.len() > SAMPLE_WIDTH {
                let _ = writeln!(text, "{line}");
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{line}\n#{} = {:?}", setting.name.to_lowercase(), setting.default);
    }
    text
}
