use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Pipeline, RedisResult, Script};

/// Declares the scripts, each with what stands in front of it.
macro_rules! scripts {
    ($($name:ident)*) => {
        /// The Lua scripts. Each does what must not be torn apart, and takes the time from Redis, so that the clocks of the
        /// trackers do not matter. All of them can be sent again after an answer was lost. Keys are declared, and each
        /// script says where they are of more than one hash tag.
        pub(super) struct Scripts {
            $(pub(super) $name: Script,)*
        }

        impl Scripts {
            pub(super) fn new() -> Self {
                Self {
                    $($name: Script::new(concat!(
                        include_str!("scripts/presence.lua"),
                        include_str!(concat!("scripts/", stringify!($name), ".lua")),
                    )),)*
                }
            }

            /// Makes Redis know all of them; a pipeline can then name them by their hashes.
            pub(super) async fn load(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
                for script in [$(&self.$name),*] {
                    script.load_async(connection).await?;
                }
                Ok(())
            }
        }
    };
}

scripts! {
    publish unpublish touch heartbeat restore report hide doomed file_drop dropped undue unlist due renew recount
}

/// Puts a call of `script` into a pipeline. Its arguments follow, as those of any command.
pub(super) fn call<'a>(pipe: &'a mut Pipeline, script: &Script, keys: &[&str]) -> &'a mut Pipeline {
    pipe.cmd("EVALSHA").arg(script.get_hash()).arg(keys.len()).arg(keys)
}
