//! Clients of version 2 on hosts of the laboratory.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use black_box::binary::Binary;
use black_box::deadline::PATIENCE;
use black_box::lab::{Household, Lab, SERVER, SERVER_V6};
use black_box::process::{Launch, Process};
use peer_client::{BindError, Client, Config, ConnectError, Identity, Path, PeerId, Target, Via};
use tokio::sync::oneshot;

/// From one word to the next of a peer that wants to be heard.
const HELLO_EVERY: Duration = Duration::from_millis(100);

/// A matchmaker on the wide area network, by both families.
pub(super) struct Server {
    _process: Process,
    pub(super) ipv4: SocketAddr,
    pub(super) ipv6: SocketAddr,
    /// Where it answers probes.
    pub(super) alt: SocketAddr,
}

impl Server {
    pub(super) fn start(lab: &Lab) -> Self {
        let namespace = lab.server();
        lab.speak_ipv6(&namespace);
        let launch = Launch::new(Binary::Matchmaker)
            .set("MATCHMAKER_LISTEN", &format!("{SERVER}:0,[{SERVER_V6}]:0"))
            .set("MATCHMAKER_ALT_PORT", "0");
        let mut process = namespace.run(|| launch.start());
        process.wait_for_listeners("matchmaker-alt", 2);
        let of_family = |service: &str, is_ipv4: bool| {
            let found = process.addresses(service).into_iter().find(|address| address.is_ipv4() == is_ipv4);
            found.expect("it listens by both families")
        };
        let [ipv4, ipv6] = [true, false].map(|is_ipv4| of_family("matchmaker", is_ipv4));
        let alt = of_family("matchmaker-alt", true);
        Self { _process: process, ipv4, ipv6, alt }
    }
}

/// A host of a household.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) household: &'a Household,
    pub(super) host: usize,
}

impl<'a> Place<'a> {
    pub(super) fn first_of(household: &'a Household) -> Self {
        Self { household, host: 0 }
    }

    /// Runs clients there to their end.
    pub(super) fn run<T: Send>(&self, work: impl AsyncFnOnce() -> T + Send) -> T {
        self.household.run(self.host, || {
            // Of one thread, which is the one that is in the namespace.
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { tokio::time::timeout(3 * PATIENCE, work()).await.expect("in time") })
        })
    }
}

/// Who of two asks for the other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asks {
    First,
    /// Both, the second so much later.
    Both {
        later: Duration,
    },
}

/// What came of a try, as the one that asked first sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub(super) via: Via,
    pub(super) peer: SocketAddr,
    pub(super) took: Duration,
}

/// A client that is registered. It tries twice: on a line that loses a tenth each way, one in 4,000 hears nothing at first.
pub(super) async fn client(server: SocketAddr) -> Client {
    let config = Config::new(server).with_identity(Identity::random().expect("random bytes"));
    match Client::bind(config.clone()).await {
        Err(BindError::Silent) => Client::bind(config).await,
        bound => bound,
    }
    .expect("the server answers")
}

pub(super) fn id_of(client: &Client) -> PeerId {
    client.id().expect("it has an identity")
}

pub(super) async fn hears_hello(path: &Path) {
    let heard = tokio::time::timeout(PATIENCE, path.recv()).await.expect("in time");
    assert_eq!(heard.expect("the path is open"), &b"hello"[..]);
}

/// Says hello by every path that opens, again and again since a line may lose it, until `finished`.
pub(super) async fn greet_all(client: &Client, finished: &mut oneshot::Receiver<()>) {
    let mut paths: Vec<Path> = Vec::new();
    let mut again = tokio::time::interval(HELLO_EVERY);
    loop {
        tokio::select! {
            path = client.accept() => paths.extend(path),
            _ = again.tick() => for path in &paths {
                path.send(b"hello").await.expect("a way out");
            },
            _ = &mut *finished => break,
        }
    }
}

/// One try of two clients: what the first reaches the second by, and hears it by.
pub(super) fn dial(
    [first, second]: [Place<'_>; 2],
    server: SocketAddr,
    asks: Asks,
) -> Result<Reached, ConnectError> {
    let (tell_first, told_first) = oneshot::channel::<PeerId>();
    let (tell_second, told_second) = oneshot::channel::<PeerId>();
    let (done, is_done) = oneshot::channel();
    let (finish, mut finished) = oneshot::channel();
    let second = move || {
        second.run(async move || {
            let client = client(server).await;
            tell_first.send(id_of(&client)).expect("the first one waits");
            let ask = async {
                let mut path = None;
                if let Asks::Both { later } = asks {
                    let target = told_second.await.expect("the first one has an id");
                    tokio::time::sleep(later).await;
                    path = Some(client.connect(Target::Id(target)).await.expect("whom it is reached by"));
                }
                // Where the first one failed, it does not wait.
                let _ = done.send(());
                path
            };
            // It may be the same path that the first one has, which is not to end before that one is done.
            let ((), path) = tokio::join!(greet_all(&client, &mut finished), ask);
            drop(path);
        });
    };
    let first = move || {
        first.run(async move || {
            let client = client(server).await;
            let target = told_first.await.expect("the second one is there");
            if let Asks::Both { .. } = asks {
                tell_second.send(id_of(&client)).expect("the second one waits");
            }
            let path = client.connect(Target::Id(target)).await?;
            hears_hello(&path).await;
            is_done.await.expect("the second one goes on");
            // Moved here, to end the second one whatever became of this one.
            drop(finish);
            Ok(Reached { via: path.via(), peer: path.peer(), took: path.took() })
        })
    };
    thread::scope(|scope| {
        let second = scope.spawn(second);
        let result = first();
        second.join().expect("the second one does what it should");
        result
    })
}
