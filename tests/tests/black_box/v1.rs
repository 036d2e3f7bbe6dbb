//! The API under /v1, on both stores.

use black_box::http::{Connection, Request};
use black_box::tracker::{CALLER, Tracker, on_both_stores, on_both_stores_with};
use serde_json::{Value, json};

const ONE: &str = "203.0.113.5";
const TWO: &str = "198.51.100.1";

fn post(tracker: &Tracker, caller: &str, path: &str, body: &Value) -> black_box::http::Answer {
    tracker.send(&Request::post(path).header(CALLER, caller).json(body))
}

#[test]
fn a_site_is_published_in_one_request_with_a_verdict_for_each_file() {
    let ttl = |launch: black_box::process::Launch| launch.set("PEER_TTL_SECS", "3600");
    on_both_stores_with(ttl, |tracker| {
        let body = json!({"peer": {"port": 4001}, "ttl": 600, "files": [
            {"filename": "site/index.html", "hash": "abc", "size": 12},
            {"filename": "../etc/passwd", "hash": "abc"},
            {"filename": "site/b.html", "hash": "no spaces"},
        ]});
        let answer = post(tracker, ONE, "/v1/publish", &body).json();
        let files = answer["files"].as_array().unwrap();
        assert_eq!(files[0], json!({"filename": "site/index.html", "accepted": true}));
        for (file, why) in files[1..].iter().zip(["'..'", "a hash has"]) {
            assert_eq!(file["accepted"], false);
            assert!(file["reason"].as_str().unwrap().contains(why), "{file}");
        }
        assert_eq!((&answer["ttl"], &answer["keepalive"]), (&json!(600), &json!(300)));
        let found = tracker.get("/v1/peers?filename=site/index.html").json();
        let peer = &found["peers"][0];
        assert_eq!(found["total"], 1);
        for (key, value) in [
            ("ip", json!(ONE)),
            ("port", json!(4001)),
            ("id", Value::Null),
            ("hash", json!("abc")),
            ("size", json!(12)),
            ("online", Value::Null),
        ] {
            assert_eq!(peer[key], value, "{key} of {peer}");
        }
        assert!(peer["last_seen"].as_u64().unwrap().abs_diff(black_box::signer::now()) <= 5, "{peer}");
        assert_eq!(tracker.all_names(10), ["site/index.html"]);
    });
}

#[test]
fn a_thousand_files_are_published_and_withdrawn_at_once_and_one_more_is_too_many() {
    on_both_stores(|tracker| {
        let file = |number: usize| json!({"filename": format!("site/{number:04}.html"), "hash": "abc"});
        let files: Vec<Value> = (0..1_000).map(file).collect();
        let answer = post(tracker, ONE, "/v1/publish", &json!({"files": files})).json();
        assert!(answer["files"].as_array().unwrap().iter().all(|file| file["accepted"] == true));
        assert_eq!(tracker.all_names(1_000).len(), 1_000);
        let more: Vec<Value> = (0..1_001).map(file).collect();
        let detail = post(tracker, ONE, "/v1/publish", &json!({"files": more})).assert_refused(413);
        assert!(detail.as_str().unwrap().contains("1000 files"), "{detail}");
        let names: Vec<String> = (0..999).map(|number| format!("site/{number:04}.html")).collect();
        post(tracker, ONE, "/v1/unpublish", &json!({"files": names}))
            .assert_is(200, &json!({"status": "ok"}));
        assert_eq!(tracker.all_names(1_000), ["site/0999.html"]);
        post(tracker, ONE, "/v1/unpublish", &json!({"all": true})).assert_is(200, &json!({"status": "ok"}));
        assert_eq!(tracker.all_names(1_000), [""; 0]);
    });
}

#[test]
fn peers_are_found_by_hash_without_the_caller_and_the_excluded() {
    on_both_stores(|tracker| {
        for last in 1..=9 {
            tracker.add(&format!("203.0.113.{last}"), "a.html", if last % 2 == 0 { "even" } else { "odd" });
        }
        let found = |caller: &str, query: &str| {
            let request = Request::get(format!("/v1/peers?filename=a.html{query}")).header(CALLER, caller);
            let answer = tracker.send(&request).json();
            let mut ips: Vec<String> = answer["peers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|peer| peer["ip"].as_str().unwrap().to_owned())
                .collect();
            ips.sort();
            ips
        };
        assert_eq!(found(TWO, "").len(), 9);
        assert_eq!(found("203.0.113.2", "&hash=even"), ["203.0.113.4", "203.0.113.6", "203.0.113.8"]);
        assert_eq!(found(TWO, "&hash=even&exclude=203.0.113.4,203.0.113.6"), ["203.0.113.2", "203.0.113.8"]);
        assert_eq!(found(TWO, "&limit=3").len(), 3);
        assert_eq!(found(TWO, "&hash=none"), [""; 0]);
        for bad in ["&limit=0", "&limit=201", "&exclude=nobody", "&hash=a%20b"] {
            tracker.get(format!("/v1/peers?filename=a.html{bad}")).assert_refused(422);
        }
    });
}

#[test]
fn a_page_and_what_it_links_to_are_looked_up_at_once() {
    on_both_stores(|tracker| {
        tracker.add(ONE, "a.html", "abc");
        tracker.add(TWO, "b.css", "def");
        let names = json!({"filenames": ["b.css", "missing", "a.html"]});
        let answer = post(tracker, "192.0.2.1", "/v1/lookup", &names).json();
        let found: Vec<_> = answer["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| (&file["filename"], &file["total"], &file["peers"][0]["ip"]))
            .collect();
        assert_eq!(
            found,
            [
                (&json!("b.css"), &json!(1), &json!(TWO)),
                (&json!("missing"), &json!(0), &Value::Null),
                (&json!("a.html"), &json!(1), &json!(ONE)),
            ]
        );
        let many: Vec<String> = (0..201).map(|number| number.to_string()).collect();
        post(tracker, ONE, "/v1/lookup", &json!({"filenames": many})).assert_refused(413);
        let detail =
            post(tracker, ONE, "/v1/lookup", &json!({"filenames": ["a", "../b"]})).assert_refused(422);
        assert_eq!(detail[0]["loc"], json!(["body", "filenames", 1]));
    });
}

#[test]
fn a_site_is_listed_by_its_prefix() {
    on_both_stores(|tracker| {
        for name in ["site/a", "site/b", "site/c", "other/a"] {
            tracker.add(ONE, name, "abc");
        }
        tracker.add(TWO, "site/b", "abc");
        let page = tracker.get("/v1/files?prefix=site/&limit=2").json();
        assert_eq!(
            page["files"],
            json!([{"filename": "site/a", "peers": 1}, {"filename": "site/b", "peers": 2}])
        );
        let next = page["next"].as_str().unwrap();
        let last = tracker.get(format!("/v1/files?prefix=site/&limit=2&cursor={next}")).json();
        assert_eq!(last, json!({"files": [{"filename": "site/c", "peers": 1}], "next": null}));
    });
}

#[test]
fn a_heartbeat_tells_whether_the_peer_is_known() {
    on_both_stores(|tracker| {
        let beat = |body: &[u8]| {
            let request = Request::post("/v1/heartbeat").header(CALLER, ONE);
            tracker.send(&if body.is_empty() { request } else { request.body("application/json", body) })
        };
        assert_eq!(beat(b"").json(), json!({"alive": false, "ttl": 86_400, "keepalive": 43_200}));
        tracker.add(ONE, "a.html", "abc");
        assert_eq!(beat(b"{\"ttl\":60}").json(), json!({"alive": true, "ttl": 60, "keepalive": 30}));
        beat(b"{\"ttl\":29}").assert_refused(422);
    });
}

#[test]
fn stats_count_what_there_is_and_stream_it() {
    on_both_stores(|tracker| {
        for (peer, name) in [(ONE, "a"), (ONE, "b"), (TWO, "a")] {
            tracker.add(peer, name, "abc");
        }
        let expected = json!({"peers": 2, "files": 2, "mappings": 3});
        tracker.get("/v1/stats").assert_is(200, &expected);
        let mut stream = Connection::open(tracker.address()).unwrap();
        stream.send(b"GET /v1/stats/stream HTTP/1.1\r\nHost: tracker\r\n\r\n").unwrap();
        let (status, content_type) = stream.receive_head().unwrap();
        assert_eq!((status, content_type.as_deref()), (200, Some("text/event-stream")));
        for _ in 0..2 {
            let event = stream.receive_chunk().unwrap();
            let data = event.strip_prefix("event: stats\ndata: ").and_then(|rest| rest.strip_suffix("\n\n"));
            assert_eq!(serde_json::from_str::<Value>(data.unwrap()).unwrap(), expected);
        }
    });
}

#[test]
fn a_body_that_is_not_as_wanted_is_refused_in_the_one_form() {
    on_both_stores(|tracker| {
        let send = |path: &str, kind: &str, body: &str| tracker.send(&Request::post(path).body(kind, body));
        send("/v1/publish", "text/plain", "{\"files\":[]}").assert_refused(415);
        let json = "application/json";
        for body in [
            "[]",
            "[[]]",
            "5",
            "{",
            "{}",
            "{\"files\":5}",
            "{\"files\":[{}]}",
            "{\"files\":[],\"ttl\":-1}",
            "\u{feff}{\"files\":[]}",
        ] {
            let detail = send("/v1/publish", json, body).assert_refused(422);
            assert_eq!(detail[0]["loc"], json!(["body"]), "{body}");
        }
        for (path, body) in [
            ("/v1/publish", "{\"files\":[{\"filename\":\"a\",\"hash\":\"b\",\"size\":9007199254740992}]}"),
            ("/v1/publish", "{\"files\":[],\"ttl\":315360001}"),
            ("/v1/publish", "{\"files\":[],\"peer\":{\"port\":0}}"),
            ("/v1/unpublish", "{}"),
            ("/v1/unpublish", "{\"all\":true,\"files\":[]}"),
            ("/v1/unpublish", "{\"files\":[\"/abs\"]}"),
            ("/v1/report", "{\"filename\":\"a\"}"),
            ("/v1/report", "{\"filename\":\"a\",\"ip\":\"203.0.113.5\",\"id\":\"x\"}"),
            ("/v1/report", "{\"filename\":\"a\",\"ip\":\"224.0.0.1\"}"),
            ("/v1/report", "{\"filename\":\"a\",\"id\":\"short\"}"),
            ("/v1/lookup", "{\"filenames\":[],\"limit\":51}"),
        ] {
            send(path, json, body).assert_refused(422);
        }
        send("/v1/publish", json, &format!("{{\"files\":[],\"x\":\"{}\"}}", "x".repeat(2 << 20)))
            .assert_refused(413);
        for path in ["/v1/publish", "/v1/unpublish", "/v1/heartbeat", "/v1/lookup", "/v1/report"] {
            let answer = tracker.get(path);
            answer.assert_refused(405);
            assert_eq!(answer.header("allow"), Some("POST"));
            let cross_site = Request::post(path).header("Sec-Fetch-Site", "cross-site").json(&json!({}));
            tracker.send(&cross_site).assert_refused(403);
        }
        for path in ["/v1/peers", "/v1/files", "/v1/stats", "/v1/stats/stream", "/openapi.json"] {
            assert_eq!(tracker.post(path).header("allow"), Some("GET"), "{path}");
        }
        tracker.get("/v1/nothing").assert_is(404, &json!({"detail": "Not Found"}));
    });
}

#[test]
fn the_description_is_served() {
    let tracker = Tracker::plain();
    let description = tracker.get("/openapi.json").json();
    assert_eq!(description["openapi"], "3.1.0");
    assert!(description["paths"]["/v1/publish"]["post"].is_object());
}
