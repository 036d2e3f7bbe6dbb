//! Where parameters are read from, and what a wrong one gets.

use black_box::http::{Answer, Request};
use black_box::tracker::{CALLER, Tracker, on_both_stores};
use serde_json::{Value, json};

const ONE: &str = "203.0.113.5";

fn ok() -> Value {
    json!({"status": "ok"})
}

/// Panics unless the answer says exactly that these are missing.
#[track_caller]
pub(crate) fn assert_missing(answer: &Answer, names: &[&str]) {
    let entry = |name: &&str| json!({"type": "missing", "loc": ["query", name], "msg": "Field required", "input": null});
    let expected: Vec<Value> = names.iter().map(entry).collect();
    assert_eq!(answer.assert_refused(422), Value::Array(expected));
}

/// Panics unless the answer refuses the value of this one parameter, in the shape of the original.
#[track_caller]
pub(crate) fn assert_bad_value(answer: &Answer, name: &str) -> String {
    let detail = answer.assert_refused(422);
    assert_eq!(detail.as_array().map(Vec::len), Some(1), "{detail}");
    let entry = detail[0].as_object().expect("an entry is an object");
    let mut keys: Vec<&str> = entry.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["input", "loc", "msg", "type"], "{detail}");
    assert_eq!(entry["type"], "value_error", "{detail}");
    assert_eq!(entry["loc"][1], name, "{detail}");
    entry["msg"].as_str().filter(|text| !text.is_empty()).expect("a text says what is wrong").to_owned()
}

#[test]
fn each_missing_parameter_has_an_entry() {
    on_both_stores(|tracker| {
        for method in ["GET", "POST"] {
            let ask = |target: &str| tracker.send(&Request::new(method, target));
            assert_missing(&ask("/add"), &["filename", "hash"]);
            assert_missing(&ask("/add?"), &["filename", "hash"]);
            assert_missing(&ask("/add?filename=a.html"), &["hash"]);
            assert_missing(&ask("/add?hash=abc"), &["filename"]);
            assert_missing(&ask("/add?Filename=a.html&HASH=abc"), &["filename", "hash"]);
            assert_missing(&ask("/remove"), &["filename"]);
            assert_missing(&ask(&format!("/remove?ip={ONE}")), &["filename"]);
        }
        assert_missing(&tracker.get("/peers"), &["filename"]);
        assert_missing(&tracker.get("/peers?file=a.html"), &["filename"]);
        assert!(tracker.all_names(100).is_empty());
    });
}

#[test]
fn a_missing_parameter_of_a_body_has_an_entry_too() {
    on_both_stores(|tracker| {
        assert_missing(&tracker.send(&Request::post("/add").json(&json!({}))), &["filename", "hash"]);
        assert_missing(&tracker.send(&Request::post("/add").json(&json!({"hash": "abc"}))), &["filename"]);
        assert_missing(&tracker.send(&Request::post("/add").form("filename=a.html")), &["hash"]);
        assert_missing(&tracker.send(&Request::post("/remove").form("")), &["filename"]);
        assert!(tracker.all_names(100).is_empty());
    });
}

#[test]
fn parameters_come_from_a_json_body() {
    on_both_stores(|tracker| {
        let send =
            |target: &str, body: &Value| tracker.send(&Request::post(target).json(body).header(CALLER, ONE));
        send("/add", &json!({"filename": "a/ü+ %20.html", "hash": "abc"})).assert_is(200, &ok());
        send("/add", &json!({"filename": "b.html", "hash": "abc", "more": [1, {"x": null}]}))
            .assert_is(200, &ok());
        assert_eq!(tracker.peers("a/ü+ %20.html"), [ONE]);
        send("/remove", &json!({"filename": "b.html", "ip": ONE})).assert_is(200, &ok());
        assert!(tracker.peers("b.html").is_empty());
        send("/peer_offline", &json!({"ip": ONE})).assert_is(200, &json!({"status": "removed"}));
        assert!(tracker.all_names(100).is_empty());
    });
}

#[test]
fn parameters_come_from_a_form_body() {
    on_both_stores(|tracker| {
        let send =
            |target: &str, body: &str| tracker.send(&Request::post(target).form(body).header(CALLER, ONE));
        send("/add", "filename=a%2F%C3%BC+b.html&hash=abc").assert_is(200, &ok());
        assert_eq!(tracker.peers("a/ü b.html"), [ONE]);
        send("/remove", "filename=a/%C3%BC+b.html").assert_is(200, &ok());
        assert!(tracker.all_names(100).is_empty());
        send("/add", "filename=c.html&hash=abc&more=x").assert_is(200, &ok());
        send("/peer_offline", &format!("ip={ONE}")).assert_is(200, &json!({"status": "removed"}));
        assert!(tracker.all_names(100).is_empty());
    });
}

#[test]
fn content_types_with_a_charset_and_in_any_case_are_known() {
    on_both_stores(|tracker| {
        let body = json!({"filename": "a.html", "hash": "abc"}).to_string();
        for kind in ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"]
        {
            let request = Request::post("/add").body(kind, &body).header(CALLER, ONE);
            tracker.send(&request).assert_is(200, &ok());
        }
        let form = Request::post("/add")
            .body("application/x-www-form-urlencoded; charset=UTF-8", "filename=b.html&hash=abc")
            .header(CALLER, ONE);
        tracker.send(&form).assert_is(200, &ok());
        assert_eq!(tracker.all_names(100), ["a.html", "b.html"]);
    });
}

#[test]
fn the_query_counts_where_the_body_is_empty_or_of_another_type() {
    on_both_stores(|tracker| {
        let target = "/add?filename=a.html&hash=abc";
        tracker.send(&Request::post(target).header(CALLER, ONE)).assert_is(200, &ok());
        for kind in ["application/json", "application/x-www-form-urlencoded"] {
            let request = Request::post(target).body(kind, "").header(CALLER, ONE);
            tracker.send(&request).assert_is(200, &ok());
        }
        assert_eq!(tracker.peers("a.html"), [ONE]);
    });
}

/// Values that are refused, for one parameter.
fn refuse_all(tracker: &Tracker, name: &str, target: &str, values: &[&str]) {
    for value in values {
        let answer = tracker.send(&Request::post(format!("{target}{value}")).header(CALLER, ONE));
        assert_bad_value(&answer, name);
    }
}

#[test]
fn a_bad_file_name_is_refused_with_what_is_allowed() {
    let long = "x".repeat(1_025);
    let wide = "%C3%BC".repeat(513);
    let names = [
        "",
        "/etc/passwd",
        "%2Fetc/passwd",
        "..",
        "a/../b",
        "%2e%2e/b",
        "./a",
        "a/.",
        "a%00b",
        "a%0Ab",
        "a%7Fb",
        "a%C2%85b",
        "a\\b",
        "a%5Cb",
        &long,
        &wide,
    ];
    on_both_stores(|tracker| {
        refuse_all(tracker, "filename", "/add?hash=abc&filename=", &names);
        refuse_all(tracker, "filename", "/remove?filename=", &names);
        for name in names {
            assert_bad_value(&tracker.get(format!("/peers?filename={name}")), "filename");
        }
        let message = assert_bad_value(&tracker.get(format!("/peers?filename={long}")), "filename");
        assert!(message.contains("1024") && message.contains("1025"), "{message}");
        assert!(tracker.all_names(100).is_empty());
    });
}

#[test]
fn a_bad_hash_is_refused_with_what_is_allowed() {
    let long = "f".repeat(129);
    let huge = "f".repeat(10_240);
    on_both_stores(|tracker| {
        let values = ["", "a%20b", "a+b", "%C3%BC", "a%00", "a'b", "a%25b", &long, &huge];
        refuse_all(tracker, "hash", "/add?filename=a.html&hash=", &values);
        assert!(tracker.all_names(100).is_empty());
    });
}

#[test]
fn a_bad_address_is_refused_with_what_is_allowed() {
    on_both_stores(|tracker| {
        tracker.add(ONE, "a.html", "abc");
        let values = [
            "",
            "notanip",
            "203.0.113.5:80",
            "203.0.113.05",
            "1.2.3",
            "%5B::1%5D",
            "fe80::1%25eth0",
            "0.0.0.0",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
            "203.0.113.5%00",
            "203.0.113.0/24",
        ];
        refuse_all(tracker, "ip", "/remove?filename=a.html&ip=", &values);
        refuse_all(tracker, "ip", "/peer_offline?ip=", &values);
        assert_eq!(tracker.peers("a.html"), [ONE]);
    });
}

#[test]
fn several_wrong_parameters_have_an_entry_each() {
    on_both_stores(|tracker| {
        let detail = tracker.post("/add?filename=/x&hash=%20").assert_refused(422);
        let wrong: Vec<&Value> = detail.as_array().unwrap().iter().map(|entry| &entry["loc"][1]).collect();
        assert_eq!(wrong, ["filename", "hash"], "{detail}");
        let detail = tracker.post("/add?filename=/x").assert_refused(422);
        let kinds: Vec<&Value> = detail.as_array().unwrap().iter().map(|entry| &entry["type"]).collect();
        assert_eq!(kinds, ["value_error", "missing"], "{detail}");
    });
}

#[test]
fn the_longest_values_are_taken() {
    on_both_stores(|tracker| {
        let (name, wide, hash) = ("x".repeat(1_024), "ü".repeat(512), "f".repeat(128));
        tracker.add(ONE, &name, &hash);
        tracker.add(ONE, &wide, "A-z0+/=_:.");
        assert_eq!(tracker.peers(&name), [ONE]);
        assert_eq!(tracker.peers(&wide), [ONE]);
        tracker.add("2001:db8::5", &name, "0");
        assert_eq!(tracker.peers(&name), ["2001:db8::5", ONE]);
    });
}
