use std::sync::Arc;

use peer_client::Client;

use super::interrupted;
use super::publish::hash_site;
use crate::cli::ServeCommand;
use crate::failure::{Failure, OrHint as _};
use crate::identity::Identity;
use crate::output::{GOOD, NAME, bytes, note, say};
use crate::rendezvous;
use crate::site::site_name;
use crate::transfer::{DONE, Shelf, Visit, endpoint, server_config};

/// What to try where nothing of the user's is wrong.
pub(super) const INSIDE: &str = "try again; where it stays, it is a fault of peerctl: please report it";

pub(super) async fn run(command: &ServeCommand) -> Result<(), Failure> {
    let identity = command.key.identity()?;
    let site = site_name(&command.dir, command.site.as_deref())?;
    let files = hash_site(&command.dir, &site, command.hidden)?;
    let shelf = Arc::new(Shelf::new(&site, &files).or_hint(INSIDE)?);
    let client = rendezvous::register(&command.matchmaker, identity.as_ref()).await?;
    // Without a key of its own a server still needs one for TLS, which nobody knows it by.
    let tls_identity = identity.map_or_else(Identity::generate, Ok)?;
    let config = server_config(&tls_identity).or_hint(INSIDE)?;
    let endpoint = endpoint(client.datagrams(), Some(config)).or_hint(INSIDE)?;

    say(format_args!(
        "{GOOD}serving{GOOD:#} {NAME}{site}{NAME:#}: {} files, {}",
        files.len(),
        bytes(files.iter().map(|file| file.size).sum())
    ))?;
    announce(&client)?;
    let holding = tokio::spawn(hold_paths(client.clone()));
    tokio::select! {
        () = shelf.serve(&endpoint, report) => {}
        () = interrupted() => {}
    }
    endpoint.close(DONE, b"");
    endpoint.wait_idle().await;
    holding.abort();
    client.close().await;
    Ok(())
}

/// How others reach us.
pub(super) fn announce(client: &Client) -> Result<(), Failure> {
    if let Some(id) = client.id() {
        say(format_args!("id {NAME}{id}{NAME:#}"))?;
    }
    say(format_args!("address {NAME}{}{NAME:#}", client.public_address()))?;
    note(format_args!("NAT {}", rendezvous::nat(client.nat())));
    Ok(())
}

/// Keeps every path open until its peer leaves.
async fn hold_paths(client: Client) {
    while let Some(path) = client.accept().await {
        // Nothing comes by it: all goes to QUIC. It says when it ends.
        tokio::spawn(async move { while path.recv().await.is_some() {} });
    }
}

fn report(visit: Visit) {
    match visit {
        Visit::Came(from) => note(format_args!("{from} has connected")),
        Visit::Went { from, sent_bytes } => {
            note(format_args!("{from} has gone, {} were sent to it", bytes(sent_bytes)));
        }
    }
}
