//! The pipelines of the store: which commands go to Redis together.

use deadpool_redis::redis::Pipeline;
use peer_core::keys::{self, Expiry};
use peer_core::limits::FILES_PER_PEER_MAX;
use peer_core::{ContentHash, FileName, Peer};

use super::scripts::Scripts;
use super::ttl::Ttls;

/// As late as no publish can be: drops a mapping whenever it was published.
const ANY_TIME: &str = "inf";

/// `peer` publishes `file`, in one transaction. The answer begins with that of `peer_add`: 0 means that
/// nothing was done for the peer since it has to be forgotten first, -1 that it has too many files.
pub(super) fn add(
    pipe: &mut Pipeline,
    scripts: &Scripts,
    ttls: Ttls,
    peer: Peer,
    file: &FileName,
    hash: &ContentHash,
) {
    let peer_text = peer.to_string();
    pipe.invoke_script(
        scripts
            .peer_add
            .key(keys::peer_seen(peer))
            .key(keys::peer_files(peer))
            .arg(file.as_str())
            .arg(ttls.of(Expiry::Peer))
            .arg(ttls.of(Expiry::Index))
            .arg(FILES_PER_PEER_MAX),
    );
    pipe.invoke_script(
        scripts
            .file_add
            .key(keys::file_peers(file))
            .key(keys::file_hashes(file))
            .arg(&peer_text)
            .arg(hash.as_str())
            .arg(ttls.of(Expiry::Index)),
    )
    .ignore();
    pipe.zadd(keys::names_of(file), file.as_str(), 0).ignore();
    // Also where peers live for ever: the setting may change.
    make_due(pipe, peer);
}

/// The sweep is to look at `peer`, unless it has a date already. It is due at once: the sweep finds it alive and learns
/// from its expiry when to come back, so that no clock but that of Redis is needed here.
pub(super) fn make_due(pipe: &mut Pipeline, peer: Peer) {
    pipe.cmd("ZADD").arg(keys::due_of(peer)).arg("NX").arg(0).arg(peer.to_string()).ignore();
}

/// A sign of life of `peer`.
pub(super) fn touch(pipe: &mut Pipeline, scripts: &Scripts, ttls: Ttls, peer: Peer) {
    pipe.invoke_script(scripts.touch.key(keys::peer_seen(peer)).arg(ttls.of(Expiry::Peer))).ignore();
}

/// `peer` has `file` no more. The answer is how many peers still have it, or -1 when this one had not.
pub(super) fn remove(pipe: &mut Pipeline, scripts: &Scripts, peer: Peer, file: &FileName) {
    drop_mapping(pipe, scripts, peer, file, ANY_TIME);
    pipe.srem(keys::peer_files(peer), file.as_str()).ignore();
}

/// The file's part of [`remove`], for what was published until `published_us`.
pub(super) fn drop_mapping(
    pipe: &mut Pipeline,
    scripts: &Scripts,
    peer: Peer,
    file: &FileName,
    published_us: &str,
) {
    pipe.invoke_script(
        scripts
            .file_drop
            .key(keys::file_peers(file))
            .key(keys::file_hashes(file))
            .arg(peer.to_string())
            .arg(published_us),
    );
}

/// A sample of the living peers of `file`.
pub(super) fn peers(pipe: &mut Pipeline, scripts: &Scripts, file: &FileName, limit: usize) {
    let (before, after) = keys::peer_seen_around();
    pipe.invoke_script(
        scripts.peers.key(keys::file_peers(file)).arg(limit).arg(before).arg(after).arg(fastrand::u16(..)),
    );
}

/// A file that lost its last peer is listed no more.
pub(super) fn unlist(pipe: &mut Pipeline, scripts: &Scripts, file: &FileName) {
    pipe.invoke_script(
        scripts.unlist.key(keys::names_of(file)).key(keys::file_peers(file)).arg(file.as_str()),
    )
    .ignore();
}
