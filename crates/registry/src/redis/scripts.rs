use deadpool_redis::redis::aio::ConnectionLike;
use deadpool_redis::redis::{Pipeline, RedisResult, Script, pipe};

/// Declares the scripts, each group with what stands in front of each of it.
macro_rules! scripts {
    ($($shared:tt { $($name:ident)* })*) => {
        /// The Lua scripts. Each does what must not be torn apart, and takes the time from Redis, so that the clocks of the
        /// trackers do not matter. All of them can be sent again after an answer was lost. Keys are declared, and each
        /// script says where they are of more than one hash tag.
        pub(super) struct Scripts {
            $($(pub(super) $name: Script,)*)*
        }

        impl Scripts {
            pub(super) fn new() -> Self {
                Self { $($($name: Script::new(scripts!(@text $shared $name)),)*)* }
            }

            /// Makes a server know all of them; a pipeline can then name them by their hashes.
            pub(super) async fn load<C: ConnectionLike>(&self, connection: &mut C) -> RedisResult<()> {
                let mut load = pipe();
                $($(load.cmd("SCRIPT").arg("LOAD").arg(scripts!(@text $shared $name)).ignore();)*)*
                load.exec_async(connection).await
            }
        }
    };
    (@text $shared:tt $name:ident) => {
        concat!(
            include_str!("scripts/presence.lua"),
            scripts!(@shared $shared),
            include_str!(concat!("scripts/", stringify!($name), ".lua")),
        )
    };
    (@shared plain) => { "" };
    (@shared publishing) => { include_str!("scripts/publishing.lua") };
    (@shared changing) => { include_str!("scripts/changing.lua") };
    (@shared publishing_changing) => {
        concat!(include_str!("scripts/changing.lua"), include_str!("scripts/publishing.lua"))
    };
}

scripts! {
    plain {
        touch heartbeat report hide due renew recount
        unpublish restore doomed file_drop dropped undue unlist
        file_gone move_claim restorable due_in lease undue_at
        heard beat
    }
    publishing { publish publish_file }
    changing { settle begin doom }
    publishing_changing { publish_peer }
}

/// Puts a call of `script` into a pipeline. Its arguments follow, as those of any command.
pub(super) fn call<'a>(pipe: &'a mut Pipeline, script: &Script, keys: &[&str]) -> &'a mut Pipeline {
    pipe.cmd("EVALSHA").arg(script.get_hash()).arg(keys.len()).arg(keys)
}
