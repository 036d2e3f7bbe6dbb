//! The kernel's table of connections, which a load from very many addresses would fill for the whole machine.

use std::fs;

/// Where the kernel tells of it; the directory is not there where nothing tracks connections.
const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// An error where so many new addresses would not fit. A firewall, like the one that Docker sets up, makes the kernel
/// remember every pair of addresses for half a minute or two; once that table is full, it drops what is new, whosever
/// it is.
pub(crate) fn check(addresses: u32) -> anyhow::Result<()> {
    let read = |path| fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    match (read(COUNT), read(MAX)) {
        (Some(count), Some(max)) => fits(addresses, count, max),
        _ => Ok(()),
    }
}

fn fits(addresses: u32, count: u64, max: u64) -> anyhow::Result<()> {
    // Where nothing is tracked, as in a fresh network namespace, nothing ever will be by us.
    let tracked = count > 0;
    anyhow::ensure!(
        !tracked || count + u64::from(addresses) <= max,
        "the kernel tracks connections here, has {count} of at most {max}, and {addresses} more would make it drop \
         those of others; run it apart: unshare -n sh -c 'ip link set lo up && bench ...'"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_would_fill_the_table_is_refused_where_connections_are_tracked() {
        assert!(fits(100_000, 20, 262_144).is_ok());
        assert!(fits(100_000, 0, 50_000).is_ok());
        let error = fits(100_000, 200_000, 262_144).map_err(|error| error.to_string());
        assert!(error.is_err_and(|text| text.contains("unshare -n")));
    }
}
