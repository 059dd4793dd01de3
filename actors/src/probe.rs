//! A look at a backend before clients come: is it there, what is it?
//!
//! Used once at start, for the banner and for the version that the proxy reports to clients. A
//! backend that does not answer is no reason not to start: its slots are refused until it does.

use std::time::Duration;

use routing::BackendAddr;

use crate::backend_conn::connect::{ConnectFailure, Conversation};
use crate::io::socket;
use crate::worker::Credentials;

/// What a backend says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeReport {
    /// `redis` or `valkey`.
    pub server: String,
    /// Its version.
    pub version: String,
    /// The redis version whose commands it has.
    pub redis_version: String,
    /// `master` or `slave`, as Redis says it.
    pub role: String,
    /// The replicas connected to it.
    pub replicas: u32,
    /// Whether it is a node of a Redis Cluster.
    pub is_cluster: bool,
}

/// Asks a backend for its version and role, within a deadline.
///
/// # Errors
/// Why it could not be asked, as a text for operators.
pub async fn probe(
    addr: &BackendAddr,
    credentials: &Credentials,
    deadline: Duration,
) -> Result<ProbeReport, String> {
    let asked = tokio::time::timeout(deadline, ask(addr, credentials)).await;
    let text = match asked {
        Ok(answer) => answer.map_err(|failure| failure.to_string())?,
        Err(_) => return Err(ConnectFailure::Deadline(deadline).to_string()),
    };
    Ok(parse(&text))
}

async fn ask(addr: &BackendAddr, credentials: &Credentials) -> Result<String, ConnectFailure> {
    let io = socket::connect(addr, Duration::ZERO).await?;
    let mut conversation = Conversation::new(io);
    conversation.authenticate(credentials).await?;
    let reply = conversation.ask(&[b"INFO"]).await?;
    if let Some(error) = reply.as_error() {
        return Err(ConnectFailure::Refused { command: "INFO", reply: error.to_owned() });
    }
    Ok(String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned())
}

fn parse(info: &str) -> ProbeReport {
    let field = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    };
    let valkey_version = field("valkey_version");
    let redis_version = field("redis_version");
    let is_valkey = !valkey_version.is_empty();
    ProbeReport {
        server: if is_valkey { "valkey" } else { "redis" }.to_owned(),
        version: if is_valkey { valkey_version } else { redis_version.clone() },
        redis_version,
        role: field("role"),
        replicas: field("connected_slaves").parse().unwrap_or(0),
        is_cluster: field("cluster_enabled") == "1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read_for_redis_and_valkey() {
        let redis = parse(
            "# Server\r\nredis_version:7.0.15\r\n# Replication\r\nrole:master\r\nconnected_slaves:2\r\n",
        );
        assert_eq!((redis.server.as_str(), redis.version.as_str()), ("redis", "7.0.15"));
        assert_eq!((redis.role.as_str(), redis.replicas, redis.is_cluster), ("master", 2, false));
        let valkey = parse("redis_version:7.2.4\r\nvalkey_version:8.1.0\r\ncluster_enabled:1\r\n");
        assert_eq!((valkey.server.as_str(), valkey.version.as_str()), ("valkey", "8.1.0"));
        assert_eq!((valkey.redis_version.as_str(), valkey.is_cluster), ("7.2.4", true));
    }
}
