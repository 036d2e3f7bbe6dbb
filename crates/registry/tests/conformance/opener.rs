//! Each promise is asked of both stores, and of each form of Redis.

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
        mod cluster {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::opener::Opener::Cluster).await;
            })*
        }
        mod sentinel {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::opener::Opener::Sentinel).await;
            })*
        }
    };
}

pub(crate) use promises;

/// What keeps the data.
#[derive(Clone, Copy)]
pub(crate) enum Opener {
    Embedded,
    Redis,
    Cluster,
    Sentinel,
}

impl Opener {
    pub(crate) async fn open(self, ttl_secs: u64) -> Store {
        Store::open(self.home(), ttl_secs).await
    }

    /// One that keeps no more than `bounds`.
    pub(crate) async fn open_bounded(self, bounds: Bounds) -> Store {
        Store::open_bounded(self.home(), 60, bounds).await
    }

    fn home(self) -> Home {
        match self {
            Self::Embedded => Home::embedded(),
            Self::Redis => Home::redis(),
            Self::Cluster => Home::cluster(),
            Self::Sentinel => Home::sentinel(),
        }
    }
}
