//! A headless Chromium that reaches nothing but loopback, by the `WebDriver` protocol.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use black_box::deadline::eventually;
use black_box::http::Connection;
use black_box::skip::skipped;
use fantoccini::error::CmdError;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};

/// For whatever a page has to do on a machine that does much else.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at a page.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A browser with one window.
pub(super) struct Browser {
    pub(super) page: Client,
    driver: Driver,
}

/// `ChromeDriver`. When this is dropped its session is ended first, and the browser with it: that would go on by itself where
/// only the driver is killed.
struct Driver {
    child: Child,
    address: SocketAddr,
    session: Option<String>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(session) = &self.session
            && let Ok(mut connection) = Connection::open(self.address)
        {
            // It takes commands of this machine only, by the name of the host.
            let end =
                format!("DELETE /session/{session} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
            _ = connection.send(end.as_bytes());
            _ = connection.receive();
        }
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A command of `ChromeDriver` that `WebDriver` itself does not have.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base_url: &url::Url, session_id: Option<&str>) -> Result<url::Url, url::ParseError> {
        base_url.join(&format!("session/{}/{}", session_id.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// `None` on a machine that has none.
    pub(super) async fn open() -> Option<Self> {
        let driver = Command::new("chromedriver")
            .args(["--port=0", "--log-level=SEVERE"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut driver) = driver else {
            skipped("chromium", "tests/run installs it");
            return None;
        };
        let mut said = BufReader::new(driver.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let port = said.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("the driver says its port")));
        let mut driver = Driver { child: driver, address, session: None };
        let capabilities = json!({
            "goog:chromeOptions": {"args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--window-size=1280,900", "--lang=en",
                // There is no network: no name is found, and no address but loopback is taken for one.
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            ]},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        });
        let page = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities.as_object().cloned().expect("an object"))
            .connect(&format!("http://{address}"))
            .await
            .expect("a session");
        driver.session = page.session_id().await.expect("the client knows it");
        Some(Self { page, driver })
    }

    /// The driver, the browser, and what these started.
    fn processes(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::from([self.driver.child.id()]);
        loop {
            let before = found.len();
            let children = processes().into_iter().filter(|(_, parent)| found.contains(parent));
            let children: Vec<u32> = children.map(|(child, _)| child).collect();
            found.extend(children);
            if found.len() == before {
                return found;
            }
        }
    }

    async fn extension(&self, path: &'static str, body: Value) -> Value {
        self.page.issue_cmd(Extension { path, body }).await.expect("the driver takes it")
    }

    /// A command of the Chrome `DevTools` Protocol.
    pub(super) async fn devtools(&self, cmd: &str, params: Value) -> Value {
        self.extension("goog/cdp/execute", json!({"cmd": cmd, "params": params})).await
    }

    /// What `expression` is in the page.
    pub(super) async fn value(&self, expression: &str) -> Value {
        let result: Result<Value, CmdError> =
            self.page.execute(&format!("return {expression}"), vec![]).await;
        result.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// The text of the element with this selector.
    pub(super) async fn text(&self, selector: &str) -> String {
        let value = self.value(&format!("document.querySelector({selector:?})?.textContent ?? ''")).await;
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until `expression` is true, and tells how long that took. Panics when `limit` has passed.
    pub(super) async fn until(&self, limit: Duration, expression: &str) -> Duration {
        let started = Instant::now();
        while self.value(expression).await != json!(true) {
            if started.elapsed() > limit {
                let text = self.value("document.body.innerText").await;
                panic!("not within {limit:?}: {expression}\n{}", text.as_str().unwrap_or_default());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        started.elapsed()
    }

    /// Presses keys where the focus is.
    pub(super) async fn press(&self, keys: &str) {
        self.page.active_element().await.expect("a focus").send_keys(keys).await.expect("keys are taken");
    }

    pub(super) async fn click(&self, selector: &str) {
        self.page.find(Locator::Css(selector)).await.expect(selector).click().await.expect(selector);
    }

    pub(super) async fn color_scheme(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    pub(super) async fn screen(&self, width: u32, height: u32, is_phone: bool) {
        let scale = if is_phone { 2 } else { 1 };
        let screen =
            json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone});
        self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
    }

    /// What is seen, or the whole page, as WebP.
    pub(super) async fn picture(&self, whole: bool) -> Vec<u8> {
        let size =
            "({x: 0, y: 0, scale: 1, width: innerWidth, height: document.documentElement.scrollHeight})";
        let mut params = json!({"format": "webp", "quality": 90, "captureBeyondViewport": whole});
        if whole {
            params["clip"] = self.value(size).await;
        }
        // Two frames, so that what changed before is painted.
        let painted =
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done(1)))";
        self.page.execute_async(painted, vec![]).await.expect("it paints");
        let answer = self.devtools("Page.captureScreenshot", params).await;
        BASE64_STANDARD.decode(answer["data"].as_str().expect("a picture")).expect("base64")
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        self.extension("se/log", json!({"type": kind})).await.as_array().cloned().unwrap_or_default()
    }

    /// What the console said since it was last asked: warnings and errors, those of the network and of the policy too.
    pub(super) async fn console(&self) -> Vec<String> {
        let entries = self.log("browser").await.into_iter();
        let bad = entries.filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        bad.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Where the browser sent requests since it was last asked.
    pub(super) async fn requests(&self) -> Vec<String> {
        let sent = |entry: Value| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &event["message"];
            let url = &message["params"]["request"]["url"];
            (message["method"] == "Network.requestWillBeSent").then(|| url.as_str().map(str::to_owned))?
        };
        self.log("performance").await.into_iter().filter_map(sent).collect()
    }

    /// Panics when anything was asked of anybody but `origin`.
    pub(super) async fn assert_asked_only(&self, origin: &str) {
        let requests = self.requests().await;
        assert!(!requests.is_empty());
        let inside =
            |url: &String| url.starts_with(origin) || url.starts_with("data:") || url.starts_with("blob:");
        let outside: Vec<&String> = requests.iter().filter(|url| !inside(url)).collect();
        assert!(outside.is_empty(), "{outside:?}");
    }
}

/// Processes of this machine, each with its parent. Those that have ended and are not fetched yet are none.
fn processes() -> Vec<(u32, u32)> {
    let stat = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let process = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name may have blanks and brackets.
        let mut words = stat.rsplit_once(')')?.1.split_whitespace();
        let (state, parent) = (words.next()?, words.next()?.parse().ok()?);
        (state != "Z").then_some((process, parent))
    };
    std::fs::read_dir("/proc").expect("there is /proc").filter_map(stat).collect()
}

#[tokio::test]
async fn a_browser_goes_with_its_test() {
    let Some(browser) = Browser::open().await else { return };
    let its = browser.processes();
    assert!(its.len() > 3, "a browser has processes for its parts: {its:?}");
    drop(browser);
    eventually(PATIENCE, "all of them end", || {
        let left = processes().into_iter().filter(|(process, _)| its.contains(process));
        (left.count() == 0).then_some(())
    });
}
