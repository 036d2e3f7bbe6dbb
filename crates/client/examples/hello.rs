//! Two programs that say hello through their NATs: `hello SERVER` waits, `hello SERVER ID` calls the one with that id.
#![allow(clippy::print_stdout, reason = "it says what it does")]

use peer_client::{Client, Config, Identity, Target};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let server = args.next().ok_or("hello SERVER [ID]")?.parse()?;
    let client = Client::bind(Config::new(server).with_identity(Identity::random()?)).await?;
    println!("{} at {}, NAT: {:?}", client.id().ok_or("no id")?, client.public_address(), client.nat());
    let path = match args.next() {
        Some(id) => client.connect(Target::Id(id.parse()?)).await?,
        None => client.accept().await.ok_or("closed")?,
    };
    path.send(b"hello").await?;
    println!("{path:?} says {:?}", path.recv().await);
    client.close().await;
    Ok(())
}
