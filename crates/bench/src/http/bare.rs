//! The limit for an HTTP service on this stack: the same server, the same bytes, and nothing in between.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, web};
use clap::Args;

use super::population::{File, Mapping};

/// Serve the bare limit for HTTP: fixed answers, no thinking
///
/// An actix-web server with as many workers as the tracker that answers `GET /peers` with the same bytes as a
/// tracker does for a file of 20 peers, and `POST /add` with `{"status":"ok"}`. It looks at nothing. What a
/// tracker costs beyond it is the tracker's own doing. It answers for one file only, so measure it with
/// `bench http --known-files 1`.
///
/// The first line of its output says where it listens.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct BareHttpArgs {
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Worker threads [default: one for each core, as the tracker has]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
}

/// As the tracker has it: timers cost.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// As the tracker has it.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Peers in the fixed answer.
pub(crate) const PEERS: u64 = 20;

/// Runs `bench bare-http` until a signal ends it.
pub(crate) fn run(args: &BareHttpArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind(SocketAddr::new(args.host, args.port))?;
    crate::servers::announce("bare-http", listener.local_addr()?)?;
    actix_web::rt::System::new().block_on(serve(listener, args.workers))?;
    Ok(())
}

async fn serve(listener: TcpListener, workers: Option<u16>) -> std::io::Result<()> {
    let peers = Bytes::from(peers_body());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(peers.clone()))
            .route("/peers", web::get().to(answer_peers))
            .route("/add", web::post().to(answer_add))
    })
    .client_request_timeout(HEAD_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .listen(listener)?;
    match workers {
        Some(workers) => server.workers(usize::from(workers)).run().await,
        None => server.run().await,
    }
}

async fn answer_peers(body: Data<Bytes>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(Bytes::clone(&body))
}

async fn answer_add() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(Bytes::from_static(br#"{"status":"ok"}"#))
}

/// What a tracker answers for the first known file.
fn peers_body() -> Vec<u8> {
    let mut body = Vec::new();
    let peers: Vec<String> =
        (0..PEERS).map(|number| format!("\"{}\"", Mapping::known(1, number).caller)).collect();
    // Writing to memory cannot fail.
    _ = write!(body, r#"{{"filename":"{}","peers":[{}]}}"#, File::known(0), peers.join(","));
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::expected::Expected;

    #[test]
    fn the_fixed_answer_is_a_right_one_for_the_first_known_file() {
        assert_eq!(Expected::Peers(File::known(0), PEERS).check(200, &peers_body()), Ok(()));
    }
}
