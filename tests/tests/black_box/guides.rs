//! docs/guides: the settings of each page with the programs that it is about.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use black_box::binary::Binary;
use black_box::commands::{Page, pages, root, tree};
use black_box::http::{Answer, Connection, Request};
use black_box::nginx::{NAME, Nginx};
use black_box::ports::free_port;
use black_box::process::Launch;
use black_box::redis::RedisServer;
use black_box::skip::skipped;
use black_box::tracker::Tracker;
use serde_json::json;

const NGINX: &str = "docs/guides/nginx.md";
/// What a caller pretends to be.
const FORGED: &str = "198.51.100.66";
/// Addresses of callers. All of loopback are ours; only nginx's own is trusted.
const HERE: &str = "127.0.0.9";
const ELSEWHERE: &str = "127.0.0.10";

/// The content of the first block of this kind on a page.
fn block(page: &str, kind: &str) -> String {
    let text = fs::read_to_string(root().join(page)).expect("a page");
    let (_, rest) =
        text.split_once(&format!("```{kind}\n")).unwrap_or_else(|| panic!("{page} has no {kind}"));
    rest.split_once("```").expect("its end").0.to_owned()
}

/// A tracker as the page starts it, and nginx before it. `None` where the machine has no nginx.
fn behind_nginx() -> Option<(Tracker, Nginx)> {
    let launch = Launch::new(Binary::Tracker)
        .set("TRUSTED_PROXIES", "127.0.0.1")
        .set("SERVER_NAME", NAME)
        .set("RUST_LOG", "info,tracker=debug");
    let tracker = Tracker::embedded(&launch);
    let nginx = Nginx::start(&block(NGINX, "nginx"), tracker.address());
    if nginx.is_none() {
        skipped("nginx", "tests/run installs it");
    }
    Some((tracker, nginx?))
}

#[track_caller]
fn send(source: &str, server: SocketAddr, request: &Request) -> Answer {
    let source: IpAddr = source.parse().expect("an address");
    Connection::open_from(source, server)
        .and_then(|mut connection| connection.exchange(request))
        .expect("an answer")
}

fn forged(request: Request) -> Request {
    request
        .header("X-Forwarded-For", FORGED)
        .header("X-Forwarded-For", "127.0.0.1")
        .header("CF-Connecting-IP", FORGED)
        .header("X-Request-Id", "of-a-stranger")
}

#[test]
fn behind_nginx_callers_are_seen_as_they_are_and_not_as_they_say() {
    let Some((tracker, nginx)) = behind_nginx() else { return };
    let (four, six) =
        (SocketAddr::from(([127, 0, 0, 1], nginx.http)), SocketAddr::new("::1".parse().unwrap(), nginx.http));
    for (file, source, server, expected) in [
        ("a.html", HERE, four, HERE),
        ("b.html", ELSEWHERE, four, ELSEWHERE),
        ("c.html", "::1", six, "::1"),
        // Round nginx: nobody believes that either.
        ("d.html", HERE, tracker.address(), HERE),
    ] {
        let add = Request::post(format!("/add?filename={file}&hash=abc"));
        send(source, server, &forged(add)).assert_is(200, &json!({"status": "ok"}));
        assert_eq!(tracker.peers(file), [expected], "{source} by {server}");
    }
    let samples = tracker.admin().sum("tracker_broken_proxy_headers_total", &[]);
    assert!(samples.abs() < f64::EPSILON, "{samples} headers were broken");
    assert_eq!(nginx.errors(), "");
}

#[test]
fn behind_nginx_a_request_has_one_id_and_names_go_through_as_they_came() {
    let Some((tracker, nginx)) = behind_nginx() else { return };
    let server = SocketAddr::from(([127, 0, 0, 1], nginx.http));
    let add = Request::post("/add?filename=site/%C3%BC%20b%2Bc%2F%25.html&hash=abc");
    let answer = send(HERE, server, &forged(add));
    assert_eq!(tracker.all_names(10), ["site/ü b+c/%.html"]);
    let id = answer.header("X-Request-Id").expect("an id");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "nginx made it: {id}");
    let lines = tracker.process.events("request");
    let line = lines.iter().find(|line| line["request_id"] == id).expect("a line with the same id");
    assert_eq!((&line["caller"], &line["route"]), (&json!(HERE), &json!("/add")));
}

#[test]
fn behind_nginx_large_publishes_and_streams_pass_and_callers_are_limited_one_by_one() {
    let Some((_tracker, nginx)) = behind_nginx() else { return };
    let server = SocketAddr::from(([127, 0, 0, 1], nginx.http));
    let files: Vec<_> = (0..1_000)
        .map(|number| json!({"filename": format!("{number}/{}", "x".repeat(1_000)), "hash": "a".repeat(128)}))
        .collect();
    let publish = Request::post("/v1/publish").json(&json!({"files": files}));
    let answer = send(HERE, server, &publish);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["files"].as_array().map(Vec::len), Some(1_000));
    for (source, status) in [(HERE, 429), (ELSEWHERE, 200)] {
        let mut held: Vec<Connection> = Vec::new();
        // Eight of one caller are all that it may have.
        let last = (0..9).map(|place| {
            let from = if place < 8 { HERE } else { source };
            let mut stream = Connection::open_from(from.parse().unwrap(), server).expect("a connection");
            stream.send(b"GET /v1/stats/stream HTTP/1.1\r\nHost: tracker\r\n\r\n").expect("sent");
            let (status, _) = stream.receive_head().expect("a head");
            if status == 200 {
                let event = stream.receive_chunk().expect("an event");
                assert!(event.starts_with("event: stats\n"), "{event}");
            }
            held.push(stream);
            status
        });
        assert_eq!(last.last(), Some(status), "the ninth, of {source}");
        drop(held);
        black_box::deadline::eventually(black_box::deadline::PATIENCE, "places are free again", || {
            let mut stream = Connection::open_from(HERE.parse().unwrap(), server).expect("a connection");
            stream.send(b"GET /v1/stats/live HTTP/1.1\r\nHost: tracker\r\n\r\n").expect("sent");
            (stream.receive_head().expect("a head").0 == 200).then_some(())
        });
    }
}

#[test]
fn behind_nginx_tls_is_taken_in_too() {
    let Some((tracker, nginx)) = behind_nginx() else { return };
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--interface", HERE, "--request", "POST", "--cacert"])
        .arg(nginx.certificate())
        .args(["--resolve", &format!("{NAME}:{}:127.0.0.1", nginx.https)])
        .arg(format!("https://{NAME}:{}/add?filename=tls.html&hash=abc", nginx.https))
        .output()
        .expect("curl is installed: tests/run does that");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(tracker.peers("tls.html"), [HERE]);
}

#[test]
fn the_commands_of_the_nginx_page_show_the_callers_own_address() {
    let port = free_port();
    let Some(nginx) = Nginx::start(&block(NGINX, "nginx"), SocketAddr::from(([127, 0, 0, 1], port))) else {
        skipped("nginx", "tests/run installs it");
        return;
    };
    let url = format!("http://127.0.0.1:{}", nginx.http);
    Page::read("docs/guides/nginx.md")
        .rewrite("127.0.0.1:8000", &format!("127.0.0.1:{port}"))
        .rewrite("curl -s", &format!("curl -s --interface {HERE}"))
        .rewrite(&format!("http://{NAME}"), &url)
        .rewrite("203.0.113.5", HERE)
        .set("TRACKER_ADMIN_LISTEN", "127.0.0.1:0")
        .serve("TRACKER_LISTEN=", "listening service=\"tracker\"")
        .run(tree().path());
}

#[test]
fn the_commands_of_the_cloudflare_page_are_those_of_our_settings() {
    let port = free_port();
    Page::read("docs/guides/cloudflare.md")
        .rewrite("0.0.0.0:80,[::]:80", &format!("127.0.0.1:{port}"))
        .rewrite("https://tracker.example.org", &format!("http://127.0.0.1:{port}"))
        .rewrite("203.0.113.5", "127.0.0.1")
        .set("TRACKER_ADMIN_LISTEN", "127.0.0.1:0")
        .serve("TRACKER_LISTEN=", "listening service=\"tracker\"")
        .run(tree().path());
}

#[test]
fn the_commands_of_the_docker_page_show_the_callers_own_address() {
    let server = Launch::new(Binary::Standalone).set("TRUSTED_PROXIES", "none").start();
    let (http, udp) = (server.address("tracker"), server.address("matchmaker"));
    Page::read("docs/guides/docker.md")
        .excuse(
            "docker run",
            "containers are started by the tests in container/; the page says when these were tried",
        )
        .rewrite("http://tracker.example.org:8000", &format!("http://{http}"))
        .rewrite("\"tracker.example.org\",12345", &format!("\"127.0.0.1\",{}", udp.port()))
        .rewrite("203.0.113.5", "127.0.0.1")
        .rewrite("41567", "…")
        .run(tree().path());
}

#[test]
fn several_nodes_are_set_up_as_the_page_says() {
    let redis = RedisServer::start_new();
    let mut page = Page::read("docs/guides/several-nodes.md").rewrite("redis://127.0.0.1:6379", &redis.url());
    let mut last_admin = String::new();
    for port in [8000, 8001, 8010, 8011, 12345, 8002, 12355, 8012] {
        last_admin = format!("127.0.0.1:{}", free_port());
        page = page.rewrite(&format!("127.0.0.1:{port}"), &last_admin);
    }
    // They hear of each other within two seconds.
    let known = format!("curl -s http://{last_admin}/metrics | grep -q \"others 1\"");
    page.rewrite(
        &format!("curl -s http://{last_admin}/metrics"),
        &format!("timeout 20 bash -c 'until {known}; do :; done'; curl -s http://{last_admin}/metrics"),
    )
    .serve("REDIS_URL=redis://127.0.0.1:6379 TRACKER_LISTEN=", "listening service=\"tracker\"")
    .serve("REDIS_URL=redis://127.0.0.1:6379 MATCHMAKER_NODES=on", "other nodes can be reached")
    .run(tree().path());
}

#[test]
fn the_python_servers_data_are_taken_over_as_the_page_says() {
    let redis = RedisServer::start_new();
    redis.command(&["SADD", "file:site/index.html", "203.0.113.5"]);
    redis.command(&["SADD", "ip:203.0.113.5", "site/index.html"]);
    redis.command(&["SET", "filehash:site/index.html", "d41d8cd98f00b204e9800998ecf8427e"]);
    redis.command(&["HSET", "peer:lastseen", "203.0.113.5", "2026-01-02T03:04:05.678901"]);
    let (http, udp) = (free_port(), free_port());
    let tree = tree();
    Page::read("docs/guides/from-python.md")
        .rewrite("redis-cli ", &format!("redis-cli -p {} ", redis.address().port()))
        .rewrite("redis://127.0.0.1:6379", &redis.url())
        .rewrite("0.0.0.0:8000", &format!("127.0.0.1:{http}"))
        .rewrite("http://localhost:8000", &format!("http://127.0.0.1:{http}"))
        .rewrite("0.0.0.0:12345", &format!("127.0.0.1:{udp}"))
        .set("TRACKER_ADMIN_LISTEN", "127.0.0.1:0")
        .set("MATCHMAKER_ADMIN_LISTEN", "127.0.0.1:0")
        .serve(
            "REDIS_URL=redis://127.0.0.1:6379 TRACKER_LISTEN=",
            "took over the data of the original server files=1 mappings=1 refused=0",
        )
        .serve("MATCHMAKER_LISTEN=", "listening service=\"matchmaker\"")
        .run(tree.path());
    // What was exported is in the embedded store, and the old keys are gone while the new ones are there.
    let data = tree.path().join("data").display().to_string();
    let embedded = Tracker::embedded(&Launch::new(Binary::Tracker).set("DATA_DIR", &data));
    assert_eq!(embedded.peers("site/index.html"), ["203.0.113.5"]);
    assert_eq!(Tracker::sharing(&redis).peers("site/index.html"), ["203.0.113.5"]);
    let black_box::resp::Reply::List(keys) = redis.command(&["KEYS", "*"]) else { panic!("a list") };
    let old = ["file:", "filehash:", "ip:", "peer:"];
    for key in keys {
        let black_box::resp::Reply::Text(key) = key else { panic!("a name") };
        assert!(!old.iter().any(|start| key.starts_with(start)), "{key} is still there");
    }
}

/// Words in capitals with an `=` after them, or in backquotes, that look like settings.
fn settings_in(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !letter.is_ascii_uppercase() && letter != '_');
    words.filter(|word| word.contains('_') && word.len() > 5)
}

#[test]
fn the_guides_name_settings_that_there_are() {
    let sample = fs::read_to_string(root().join("deploy/settings.sample.toml")).expect("the sample");
    let mut seen = 0;
    for page in pages().iter().filter(|page| page.starts_with("docs/guides/")) {
        let text = fs::read_to_string(root().join(page)).expect("a page");
        for setting in settings_in(&text) {
            let is_one = sample.contains(&format!("\n#{} = ", setting.to_lowercase()));
            assert!(is_one || ["SOCK_DGRAM", "AF_INET"].contains(&setting), "{page}: there is no {setting}");
            seen += 1;
        }
    }
    assert!(seen > 20, "the pages name settings: {seen}");
}
