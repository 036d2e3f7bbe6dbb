//! A peer on this library: publishes a file, looks one up, punches through NATs. It speaks with those in Python and JavaScript
//! that are in the folder examples/.
//!
//! ```text
//! peer share NAME FILE         gives FILE (1,000 bytes at most) to whoever asks for NAME, until it is interrupted
//! peer get NAME [IP:PORT]      prints the file that a peer has under NAME; asks the tracker which, or takes that one
//! ```
//!
//! `TRACKER` (`http://127.0.0.1:8000`) and `MATCHMAKER` (`127.0.0.1:12345`) say where the servers are.
#![allow(clippy::print_stdout, reason = "it says what it does")]

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peer_client::{Client, Config, Path, Target};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const FILE_BYTES_MAX: usize = 1000;
const RESEND: Duration = Duration::from_millis(500);
const TRIES: u32 = 6;
const HOLDERS: &str = "/v1/peers?filename=";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// Asks the tracker: `POST` where there is a body, else `GET`. A task of its own runs it, since it waits.
async fn call(path: String, body: Option<Value>) -> Outcome<Value> {
    let url = setting("TRACKER", "http://127.0.0.1:8000") + &path;
    let answer = tokio::task::spawn_blocking(move || match body {
        Some(body) => ureq::post(url).send_json(body)?.body_mut().read_json(),
        None => ureq::get(url).call()?.body_mut().read_json(),
    });
    Ok(answer.await??)
}

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

async fn join() -> Outcome<Client> {
    let server = tokio::net::lookup_host(setting("MATCHMAKER", "127.0.0.1:12345")).await?.next();
    Ok(Client::bind(Config::new(server.ok_or("MATCHMAKER has no address")?)).await?)
}

/// Answers whatever comes over one path, for as long as it is open.
async fn serve(path: Path, name: String, content: Vec<u8>) {
    let wanted = format!("get {name}");
    let given = [b"+", content.as_slice()].concat();
    while let Some(datagram) = path.recv().await {
        let answer = if datagram == wanted.as_bytes() { given.as_slice() } else { b"-" };
        if path.send(answer).await.is_err() {
            break;
        }
    }
}

async fn share(name: String, file: &str) -> Outcome<()> {
    let content = std::fs::read(file)?;
    if content.len() > FILE_BYTES_MAX {
        return Err(format!("{file} has more than {FILE_BYTES_MAX} bytes").into());
    }
    let client = join().await?;
    let peer = json!({"port": client.public_address().port()});
    let files = json!([{"filename": name, "hash": sha256(&content), "size": content.len()}]);
    let said = call("/v1/publish".to_owned(), Some(json!({"peer": peer, "files": files}))).await?;
    if let Some(reason) = said.pointer("/files/0/reason") {
        return Err(format!("not published: {reason}").into());
    }
    // Before it says that it shares: whoever reads that may end it.
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    println!("sharing {name} at {}", client.public_address());
    let keepalive = Duration::from_secs(said.get("keepalive").and_then(Value::as_u64).ok_or("no keepalive")?);
    let mut sign_of_life = tokio::time::interval_at(tokio::time::Instant::now() + keepalive, keepalive);
    loop {
        tokio::select! {
            Some(path) = client.accept() => {
                tokio::spawn(serve(path, name.clone(), content.clone()));
            }
            _ = sign_of_life.tick() => {
                let peer = json!({"port": client.public_address().port()});
                call("/v1/heartbeat".to_owned(), Some(json!({"peer": peer}))).await?;
            }
            _ = tokio::signal::ctrl_c() => break,
            _ = terminated.recv() => break,
        }
    }
    call("/v1/unpublish".to_owned(), Some(json!({"files": [name]}))).await?;
    client.close().await;
    Ok(())
}

/// The first peer that the tracker knows of, and the hash that it published.
async fn look_up(name: &str) -> Outcome<(SocketAddr, Option<String>)> {
    let escaped = name.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
    let found = call(format!("{HOLDERS}{escaped}"), None).await?;
    let peers = found.get("peers").and_then(Value::as_array).ok_or("no list of peers")?;
    let holder = |peer: &Value| -> Option<(SocketAddr, Option<String>)> {
        let port = u16::try_from(peer.get("port")?.as_u64()?).ok()?;
        let ip: IpAddr = peer.get("ip")?.as_str()?.parse().ok()?;
        Some(((ip, port).into(), peer.get("hash").and_then(Value::as_str).map(str::to_owned)))
    };
    // The tracker leaves out the caller's own address: two peers on one machine do not find each other by it.
    peers.iter().find_map(holder).ok_or_else(|| format!("nobody else has {name}").into())
}

async fn get(name: &str, at: Option<&str>) -> Outcome<()> {
    let (target, hash) = match at {
        Some(at) => (at.parse()?, None),
        None => look_up(name).await?,
    };
    let client = join().await?;
    let path = client.connect(Target::Addr(target)).await?;
    let mut answer = None;
    for _ in 0..TRIES {
        path.send(format!("get {name}").as_bytes()).await?;
        if let Ok(datagram) = tokio::time::timeout(RESEND, path.recv()).await {
            answer = datagram;
            break;
        }
    }
    client.close().await;
    let answer = answer.unwrap_or_default();
    let content = answer.strip_prefix(b"+").ok_or_else(|| format!("{target} does not give {name}"))?;
    if hash.is_some_and(|hash| hash != sha256(content)) {
        return Err(format!("what {target} gave is not what it published").into());
    }
    std::io::stdout().write_all(content)?;
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["share", name, file] => share((*name).to_owned(), file).await,
        ["get", name] => get(name, None).await,
        ["get", name, at] => get(name, Some(at)).await,
        _ => Err("peer share NAME FILE | peer get NAME [IP:PORT]".into()),
    }
}
