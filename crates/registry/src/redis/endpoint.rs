//! Where Redis is: what `REDIS_URL` says, and how to find the server that is to be written to.

use std::time::Duration;

use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::sentinel::{Sentinel, SentinelNodeConnectionInfo};
use deadpool_redis::redis::{
    Client, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, RedisError, RedisResult, TlsMode,
};

/// The port of a server of a Cluster that names none.
const PORT: u16 = 6_379;
/// The port of a Sentinel that names none.
const SENTINEL_PORT: u16 = 26_379;
/// Most servers that a URL names, in servers.
const SERVERS_MAX: usize = 64;
/// How long the Sentinels have to name a master that says it is one.
const FIND_TIMEOUT: Duration = Duration::from_secs(2);

const FORMS: &str = "a URL of one of these forms: redis://[user:password@]host[:port][/db], \
    redis+sentinel://[user:password@]host[:port][,host[:port]…]/master[/db], \
    redis+cluster://[user:password@]host[:port][,host[:port]…]; rediss in place of redis is the same over TLS";

/// What a `REDIS_URL` says. It may hold a password, so that neither it nor parts of it are ever printed.
#[derive(Clone)]
pub(super) enum Endpoint {
    /// One server.
    Single(ConnectionInfo),
    /// The master that Sentinels name.
    Sentinel(Sentinels),
    /// A Cluster of which these servers are some.
    Cluster(Vec<ConnectionInfo>),
}

/// Who knows where the master is.
#[derive(Clone)]
pub(super) struct Sentinels {
    servers: Vec<ConnectionInfo>,
    master: String,
    /// How the master is spoken to.
    nodes: SentinelNodeConnectionInfo,
}

impl Endpoint {
    /// Says what is wrong with a URL without naming it.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or(FORMS)?;
        match scheme {
            "redis" | "rediss" => connection_info(url).map(Self::Single),
            "redis+sentinel" => Parts::split(rest, "redis")?.sentinels().map(Self::Sentinel),
            "rediss+sentinel" => Parts::split(rest, "rediss")?.sentinels().map(Self::Sentinel),
            "redis+cluster" => Parts::split(rest, "redis")?.cluster().map(Self::Cluster),
            "rediss+cluster" => Parts::split(rest, "rediss")?.cluster().map(Self::Cluster),
            _ => Err(FORMS.to_owned()),
        }
    }

    /// What finds the server that is to be written to, again and again. A Cluster has none.
    pub(super) fn finder(&self) -> RedisResult<Finder> {
        Ok(match self {
            Self::Cluster(_) => {
                return Err(RedisError::from((
                    ErrorKind::InvalidClientConfig,
                    "a Cluster has no one master",
                )));
            }
            Self::Single(info) => Finder::Fixed(Client::open(info.clone())?),
            Self::Sentinel(Sentinels { servers, master, nodes }) => Finder::Sentinel {
                sentinel: Box::new(Sentinel::build(servers.clone())?),
                master: master.clone(),
                nodes: nodes.clone(),
            },
        })
    }
}

/// Finds the server that is to be written to: the only one, or the one that is the master now.
pub(super) enum Finder {
    /// It is known.
    Fixed(Client),
    /// Sentinels are asked. Connections to them are kept.
    Sentinel { sentinel: Box<Sentinel>, master: String, nodes: SentinelNodeConnectionInfo },
}

impl Finder {
    /// What connects to it. Of what Sentinels name, only a server is taken that says itself that it is the master.
    pub(super) async fn find(&mut self) -> RedisResult<Client> {
        match self {
            Self::Fixed(client) => Ok(client.clone()),
            Self::Sentinel { sentinel, master, nodes } => {
                let finding = sentinel.async_master_for(master, Some(nodes));
                tokio::time::timeout(FIND_TIMEOUT, finding).await.unwrap_or_else(|_| {
                    Err(RedisError::from((ErrorKind::Io, "no Sentinel names a master that answers")))
                })
            }
        }
    }

    /// Whether the server may become a replica while we are connected to it.
    pub(super) fn may_be_demoted(&self) -> bool {
        matches!(self, Self::Sentinel { .. })
    }
}

fn connection_info(url: &str) -> Result<ConnectionInfo, String> {
    let info = url.into_connection_info().map_err(|error| error.to_string())?;
    Ok(info.set_tcp_settings(tcp()))
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// A URL of several servers, in pieces.
struct Parts<'a> {
    /// The scheme of each server alone.
    scheme: &'static str,
    /// `user:password@`, or nothing.
    user: String,
    hosts: Vec<&'a str>,
    path: Vec<&'a str>,
    options: Vec<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    fn split(rest: &'a str, scheme: &'static str) -> Result<Self, String> {
        if rest.contains('#') {
            return Err("a URL of several servers, without a #".to_owned());
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), authority),
        };
        let hosts: Vec<&str> = hosts.split(',').collect();
        if hosts.len() > SERVERS_MAX {
            return Err(format!("at most {SERVERS_MAX} servers"));
        }
        let path = path.split('/').filter(|part| !part.is_empty()).collect();
        let options = query.split('&').filter(|option| !option.is_empty());
        let options = options.map(|option| option.split_once('=').unwrap_or((option, ""))).collect();
        Ok(Self { scheme, user, hosts, path, options })
    }

    /// How to reach each of the servers.
    fn servers(&self, user: &str, port: u16, db: &str) -> Result<Vec<ConnectionInfo>, String> {
        let server = |(index, host): (usize, &&str)| {
            let bad = || format!("a host, or host:port, as number {} of the servers", index + 1);
            // The colons in the brackets of an IPv6 address name no port.
            let name_ends = host.rfind(']').unwrap_or(0);
            let has_port = host.get(name_ends..).is_some_and(|rest| rest.contains(':'));
            let port = if has_port { String::new() } else { format!(":{port}") };
            if host.is_empty() || host.starts_with(':') {
                return Err(bad());
            }
            connection_info(&format!("{}://{user}{host}{port}/{db}", self.scheme)).map_err(|_| bad())
        };
        self.hosts.iter().enumerate().map(server).collect()
    }

    fn cluster(&self) -> Result<Vec<ConnectionInfo>, String> {
        if !matches!(self.path[..], [] | ["0"]) {
            return Err("nothing behind the servers of a Cluster: it has one database".to_owned());
        }
        if !self.options.is_empty() {
            return Err("no options for a Cluster".to_owned());
        }
        self.servers(&self.user, PORT, "")
    }

    fn sentinels(&self) -> Result<Sentinels, String> {
        let (master, db) = match self.path[..] {
            [master] => (master, "0"),
            [master, db] => (master, db),
            _ => return Err("the name of the master behind the Sentinels: /master or /master/db".to_owned()),
        };
        // What Sentinel takes as a name itself.
        let may_be_in_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !master.bytes().all(may_be_in_a_name) {
            return Err("a master's name of letters, digits, '.', '_' and '-'".to_owned());
        }
        if db.parse::<u32>().is_err() {
            return Err("the number of a database behind the master's name".to_owned());
        }
        let (mut name, mut password) = ("", "");
        for (option, value) in &self.options {
            if value.contains(['/', '@', ':', '[', ']']) {
                return Err("options with percent-encoded values".to_owned());
            }
            match *option {
                "sentinel_username" => name = value,
                "sentinel_password" => password = value,
                _ => return Err("no options but sentinel_username and sentinel_password".to_owned()),
            }
        }
        let to_sentinels = if password.is_empty() { String::new() } else { format!("{name}:{password}@") };
        let servers = self.servers(&to_sentinels, SENTINEL_PORT, "")?;
        // Only what they have in common is used of these: who we are, and the database.
        let as_nodes = self.servers(&self.user, SENTINEL_PORT, db)?;
        let user = as_nodes.first().map(|node| node.redis_settings().clone()).unwrap_or_default();
        let mut nodes =
            SentinelNodeConnectionInfo::default().set_redis_connection_info(user).set_tcp_settings(tcp());
        if self.scheme == "rediss" {
            nodes = nodes.set_tls_mode(TlsMode::Secure);
        }
        Ok(Sentinels { servers, master: master.to_owned(), nodes })
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test that cannot make its own sample has failed"
    )]

    use super::*;

    fn sentinels(url: &str) -> Sentinels {
        match Endpoint::parse(url) {
            Ok(Endpoint::Sentinel(sentinels)) => sentinels,
            Ok(_) => panic!("{url}: something else"),
            Err(error) => panic!("{url}: {error}"),
        }
    }

    fn addresses(servers: &[ConnectionInfo]) -> Vec<String> {
        servers.iter().map(|server| server.addr().to_string()).collect()
    }

    #[test]
    fn sentinels_are_read_with_who_we_are_to_them_and_to_the_master() {
        let plain = sentinels("redis+sentinel://a:1,b,[::1]:3,[2001:db8::1]/my-master.1");
        assert_eq!(addresses(&plain.servers), ["a:1", "b:26379", "::1:3", "2001:db8::1:26379"]);
        assert_eq!(plain.master, "my-master.1");
        let all = sentinels(
            "rediss+sentinel://user:p%40ss@a/main/7?sentinel_username=watch&sentinel_password=s%2Fcret",
        );
        let to_sentinel = all.servers.first().unwrap().redis_settings();
        assert_eq!((to_sentinel.username(), to_sentinel.password()), (Some("watch"), Some("s/cret")));
        assert_eq!(to_sentinel.db(), 0);
        let shown = format!("{:?}", all.nodes);
        assert!(shown.contains("Secure") && shown.contains("db: 7"), "{shown}");
    }

    #[test]
    fn servers_of_a_cluster_are_read() {
        let Ok(Endpoint::Cluster(servers)) = Endpoint::parse("rediss+cluster://:pass@a:1,[::1],c/0") else {
            panic!("a Cluster")
        };
        assert_eq!(addresses(&servers), ["a:1", "::1:6379", "c:6379"]);
        assert!(servers.iter().all(|server| server.redis_settings().password() == Some("pass")));
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_secrets() {
        for (url, said) in [
            ("127.0.0.1:6379", "one of these forms"),
            ("http://s3cret@h", "one of these forms"),
            ("redis://u:s3cret@h:port", "did not parse"),
            ("redis+sentinel://u:s3cret@h:1", "the name of the master"),
            ("redis+sentinel://u:s3cret@h:1/a/0/b", "the name of the master"),
            ("redis+sentinel://u:s3cret@h:1/my master", "letters, digits"),
            ("redis+sentinel://u:s3cret@h:1/a/first", "number of a database"),
            ("redis+sentinel://u:s3cret@h:1,,b/a", "number 2 of the servers"),
            ("redis+sentinel://u:s3cret@h:1,b:port/a", "number 2 of the servers"),
            ("redis+sentinel:///a", "number 1 of the servers"),
            ("redis+sentinel://u:s3cret@h/a?timeout=s3cret", "no options but"),
            ("redis+sentinel://h/a?sentinel_password=s3cret@b", "percent-encoded"),
            ("redis+sentinel://u:s3cret@h/a#insecure", "without a #"),
            ("redis+cluster://u:s3cret@h:1/1", "one database"),
            ("redis+cluster://u:s3cret@h:1?a=s3cret", "no options"),
            ("rediss+cluster://u:s3cret@", "number 1 of the servers"),
        ] {
            let error = Endpoint::parse(url).err().unwrap_or_else(|| panic!("{url} was taken"));
            assert!(error.contains(said), "{url}: {error}");
            assert!(!error.contains("s3cret"), "{url}: {error}");
        }
        for url in ["redis://h", "rediss://:pass@h:1/2", "redis://[::1]:6379"] {
            assert!(matches!(Endpoint::parse(url), Ok(Endpoint::Single(_))), "{url}");
        }
    }
}
