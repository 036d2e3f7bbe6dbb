//! What other matchmakers tell one by its channel: a channel of the whole server, or on a Cluster one of a shard, so that no
//! message goes to servers where nobody listens.

use std::sync::Arc;

use deadpool_redis::redis::aio::{MultiplexedConnection, PubSubStream};
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, PushKind, RedisResult, Value, cmd,
};
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Messages of a shard that wait to be taken. More are dropped: who asked, asks again.
const MESSAGES_MAX: usize = 4_096;

/// What other nodes tell this one.
pub struct NodeMessages(Messages);

enum Messages {
    OfServer(PubSubStream),
    OfShard(mpsc::Receiver<Vec<u8>>),
}

impl NodeMessages {
    /// The next message; `None` when the connection ended, or the channel is elsewhere.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        match &mut self.0 {
            Messages::OfServer(messages) => Some(messages.next().await?.get_payload_bytes().to_vec()),
            Messages::OfShard(messages) => messages.recv().await,
        }
    }

    /// Those of a channel.
    pub(super) async fn of_server(client: &Client, channel: &str) -> RedisResult<Self> {
        let mut subscription = client.get_async_pubsub().await?;
        subscription.subscribe(channel).await?;
        Ok(Self(Messages::OfServer(subscription.into_on_message())))
    }

    /// Those of a channel of a shard, whose master `client` is for. The connection is to be asked something now and then: that the
    /// server hangs shows by nothing else.
    pub(super) async fn of_shard(
        client: &Client,
        config: AsyncConnectionConfig,
        channel: &str,
    ) -> RedisResult<(Self, MultiplexedConnection)> {
        let info = client.get_connection_info().clone();
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings))?;
        let (sender, messages) = mpsc::channel(MESSAGES_MAX);
        let config = config.set_push_sender(take_from(sender));
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        cmd("SSUBSCRIBE").arg(channel).exec_async(&mut connection).await?;
        Ok((Self(Messages::OfShard(messages)), connection))
    }
}

/// Hands messages on. Nothing comes after the connection has ended, or the slot of the channel is elsewhere.
fn take_from(sender: mpsc::Sender<Vec<u8>>) -> impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static {
    let sender = Arc::new(Mutex::new(Some(sender)));
    move |push| {
        match (push.kind, push.data.into_iter().nth(1)) {
            (PushKind::SMessage, Some(Value::BulkString(message))) => {
                if let Some(sender) = &*sender.lock() {
                    let _ = sender.try_send(message);
                }
            }
            (PushKind::SUnsubscribe | PushKind::Disconnection, _) => *sender.lock() = None,
            _ => {}
        }
        Ok(())
    }
}
