//! Who may answer us: the tests of RFC 5780 section 4.4, where the server has a second address.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::report::Filtering;

/// A Binding request with the magic cookie (RFC 8489 section 5).
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// CHANGE-REQUEST with a value of four bytes, and its flags (RFC 5780 section 7.2).
const CHANGE_REQUEST: [u8; 4] = [0x00, 0x03, 0x00, 0x04];
const CHANGE_PORT: u8 = 0x02;
const CHANGE_IP_AND_PORT: u8 = 0x06;
/// OTHER-ADDRESS (RFC 5780 section 7.4), which a server has that obeys CHANGE-REQUEST.
const OTHER_ADDRESS: u16 = 0x802c;
/// How often a request is sent, and how long each time is waited.
const ATTEMPTS: u32 = 3;
const WAIT: Duration = Duration::from_millis(500);

/// How much of where an answer comes from has to have been written to before.
pub(super) async fn check(server: SocketAddr) -> anyhow::Result<Filtering> {
    let socket = super::bind(server).await?;
    let plain = exchange(&socket, server, None).await?;
    if !plain.is_some_and(|answer| has_other_address(&answer)) {
        return Ok(Filtering::Unknown);
    }
    if exchange(&socket, server, Some(CHANGE_IP_AND_PORT)).await?.is_some() {
        return Ok(Filtering::EndpointIndependent);
    }
    Ok(match exchange(&socket, server, Some(CHANGE_PORT)).await? {
        Some(_) => Filtering::AddressDependent,
        None => Filtering::AddressAndPortDependent,
    })
}

/// Asks, and gives the success response that has our transaction id, wherever it comes from.
async fn exchange(
    socket: &tokio::net::UdpSocket,
    server: SocketAddr,
    change: Option<u8>,
) -> anyhow::Result<Option<Vec<u8>>> {
    let mut id = [0; 12];
    getrandom::fill(&mut id)?;
    let request = request(id, change);
    let mut buffer = vec![0; super::asking::DATAGRAM_MAX_BYTES];
    for _ in 0..ATTEMPTS {
        socket.send_to(&request, server).await?;
        let until = Instant::now() + WAIT;
        while let Ok(received) = timeout_at(until, socket.recv_from(&mut buffer)).await {
            let Ok((length, from)) = received else { continue };
            let answer = buffer.get(..length).unwrap_or_default();
            if is_success(answer, id) && is_from(from.ip(), server.ip(), change) {
                return Ok(Some(answer.to_vec()));
            }
        }
    }
    Ok(None)
}

fn request(id: [u8; 12], change: Option<u8>) -> Vec<u8> {
    let body = change.map_or(Vec::new(), |flags| [&CHANGE_REQUEST[..], &[0, 0, 0, flags]].concat());
    let length = if body.is_empty() { [0, 0] } else { [0, 8] };
    [&BINDING_REQUEST[..], &length, &MAGIC_COOKIE, &id, &body].concat()
}

fn is_success(answer: &[u8], id: [u8; 12]) -> bool {
    answer.starts_with(&BINDING_SUCCESS)
        && answer.get(4..8) == Some(&MAGIC_COOKIE[..])
        && answer.get(8..20) == Some(&id[..])
}

/// Whether an answer comes from where it was asked to come from: else it shows nothing.
fn is_from(source: IpAddr, server: IpAddr, change: Option<u8>) -> bool {
    (source != server) == (change == Some(CHANGE_IP_AND_PORT))
}

/// Whether OTHER-ADDRESS is among the attributes of a message.
fn has_other_address(message: &[u8]) -> bool {
    let mut rest = message.get(20..).unwrap_or_default();
    while let Some(([kind_high, kind_low, high, low], after)) = rest.split_first_chunk::<4>() {
        if u16::from_be_bytes([*kind_high, *kind_low]) == OTHER_ADDRESS {
            return true;
        }
        let length = usize::from(u16::from_be_bytes([*high, *low])).next_multiple_of(4);
        rest = after.get(length..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_that_of_rfc_5780() {
        let plain = request([7; 12], None);
        assert_eq!(plain, [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat());
        let change = request([7; 12], Some(CHANGE_PORT));
        assert_eq!(change.len(), 28);
        assert!(change.ends_with(&[0, 3, 0, 4, 0, 0, 0, 2]));
    }

    #[test]
    fn attributes_are_walked_and_never_past_the_end() {
        let header = [0; 20];
        let other = [&header[..], &[0x80, 0x22, 0, 3, 1, 2, 3, 0, 0x80, 0x2c, 0, 0]].concat();
        assert!(has_other_address(&other));
        for cut in 0..other.len() - 4 {
            assert!(!has_other_address(other.get(..cut).unwrap_or_default()), "{cut}");
        }
        assert!(!has_other_address(&[&header[..], &[0, 1, 0xff, 0xff, 0x80, 0x2c, 0, 0]].concat()));
    }
}
