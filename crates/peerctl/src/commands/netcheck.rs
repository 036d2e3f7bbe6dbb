use std::net::SocketAddr;

use anyhow::anyhow;

use crate::cli::NetcheckCommand;
use crate::failure::Failure;
use crate::netcheck::{Family, Report, check};
use crate::output::{say, say_json, warn};
use crate::rendezvous::resolve_all;

pub(super) async fn run(command: &NetcheckCommand) -> Result<(), Failure> {
    let servers = resolve_all(&command.matchmaker).await?;
    let of = |ipv6: bool| servers.iter().copied().find(|server| server.is_ipv6() == ipv6);
    let (ipv4, ipv6) = tokio::join!(family(of(false), command.lifetime), family(of(true), command.lifetime));
    if ipv4.is_none() && ipv6.is_none() {
        return Err(Failure::unreachable(
            anyhow!("the matchmaker {:?} is not reached", command.matchmaker),
            "it has to run there and speak version 2, and UDP has to pass any firewall; --matchmaker names another",
        ));
    }
    let report = Report { ipv4, ipv6 };
    if command.json {
        say_json(&report)?;
    } else {
        say(report.to_string().trim_end())?;
    }
    Ok(())
}

/// One family that does not work is no reason not to report the other.
async fn family(server: Option<SocketAddr>, with_lifetime: bool) -> Option<Family> {
    check(server?, with_lifetime).await.inspect_err(|error| warn(format_args!("{error:#}"))).ok()
}
