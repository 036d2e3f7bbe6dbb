//! Each promise is asked of both stores.

use registry::Bounds;

use crate::store::{Home, Store};

/// Peers live for ever.
pub(crate) const FOR_EVER: u64 = 0;

/// Makes of each promise a test of each store.
macro_rules! promises {
    ($($promise:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::opener::Opener::Embedded).await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::opener::Opener::Redis).await;
            })*
        }
    };
}

pub(crate) use promises;

#[derive(Clone, Copy)]
pub(crate) enum Opener {
    Embedded,
    Redis,
}

impl Opener {
    pub(crate) async fn open(self, ttl_secs: u64) -> Store {
        match self {
            Self::Embedded => Store::embedded(ttl_secs).await,
            Self::Redis => Store::redis(ttl_secs).await,
        }
    }

    /// One that keeps no more than `bounds`.
    pub(crate) async fn open_bounded(self, bounds: Bounds) -> Store {
        let home = match self {
            Self::Embedded => Home::embedded(),
            Self::Redis => Home::redis(),
        };
        Store::open_bounded(home, 60, bounds).await
    }
}
