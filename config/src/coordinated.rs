//! The rules for a proxy that is known in a coordinator: as a member of a product (`topology`,
//! `coordinator_*`, `proxy_id`), or to Jodis clients (`jodis_*`).
//!
//! What a proxy tells of itself there is read by the tools of the product: they take the name of a
//! node for its id, and split an address at its only colon.

use std::time::Duration;

use crate::addr;
use crate::choices::{Choice as _, CoordinatorName, ProtoType, Topology};
use crate::settings::Config;
use crate::units::duration_text;
use crate::validate::{Finding, Findings};

/// A shorter session would be lost to a single pause of the coordinator.
const SESSION_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// The dashboards expel a proxy that has not confirmed a change of slots after so long.
const CONFIRMATION_TIMEOUT: Duration = Duration::from_secs(30);

/// A coordinator that Codis can register with and Keyway cannot.
const FILESYSTEM: [&str; 2] = ["filesystem", "fs"];

/// Applies every rule.
pub(crate) fn check(config: &mut Config, findings: &mut Findings) {
    check_addr_list("coordinator_addr", &config.coordinator_addr, findings);
    check_addr_list("jodis_addr", &config.jodis_addr, findings);
    let timeout = config.coordinator_session_timeout;
    findings.require(timeout >= SESSION_TIMEOUT_MIN, "coordinator_session_timeout", || {
        format!("must be at least {}", duration_text(SESSION_TIMEOUT_MIN))
    });
    if config.topology.is_in_coordinator() {
        check_membership(config, findings);
        check_told_addresses(config, findings);
        check_times(config, findings);
    } else {
        findings.warn_if(!config.coordinator_addr.is_empty(), "coordinator_addr", || {
            "has no effect with `topology = \"codis3\"`: set `topology` to `codis1`, `codis2` or \
             `reborn` (--topology, KEYWAY_TOPOLOGY)"
                .to_owned()
        });
    }
    check_jodis(config, findings);
}

/// A finding about `key` that holds because of `topology`, which is where to look when the key
/// itself was not given.
fn because_of_topology(key: &'static str, topology: Topology, rest: &str) -> Finding {
    let text = format!("`{key}` {rest} with `topology = \"{topology}\"`");
    Finding { key, other: Some("topology"), text }
}

fn check_membership(config: &Config, findings: &mut Findings) {
    let topology = config.topology;
    if config.coordinator_addr.is_empty() {
        let mut finding = because_of_topology("coordinator_addr", topology, "is needed");
        finding.text.push_str(
            ": give the addresses of the product's coordinator, like `10.0.0.1:2181,10.0.0.2:2181`",
        );
        findings.errors.push(finding);
    }
    let id = config.proxy_id.as_str();
    if id.is_empty() {
        let mut finding = because_of_topology("proxy_id", topology, "is needed");
        finding.text.push_str(": give this proxy a name that no other of the product has");
        findings.errors.push(finding);
    }
    let is_name = !matches!(id, "." | "..")
        && !id.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control());
    findings.require(is_name, "proxy_id", || {
        "becomes the name of a node: it must not be `.` or `..`, nor hold a `/`, a blank or a \
         control character"
            .to_owned()
    });
    if config.state_dir.is_some() {
        let mut finding = because_of_topology("state_dir", topology, "cannot be used");
        finding.text.push_str(": the slots come from the coordinator");
        findings.errors.push(finding);
    }
    if topology == Topology::Codis2
        && !config.dashboard_addr.is_empty()
        && let Err(error) = addr::check_connectable(&config.dashboard_addr)
    {
        findings.require(false, "dashboard_addr", || format!("cannot be used: {error}"));
    }
}

fn check_told_addresses(config: &Config, findings: &mut Findings) {
    for (key, text) in [
        ("proxy_addr", &config.proxy_addr),
        ("admin_addr", &config.admin_addr),
        ("host_proxy", &config.host_proxy),
        ("host_admin", &config.host_admin),
    ] {
        if addr::host(text).contains(':') {
            let mut finding =
                because_of_topology(key, config.topology, "cannot be an IPv6 address");
            finding.text.push_str(": its tools split an address at the only colon");
            findings.errors.push(finding);
        }
    }
    for (key, addr, told_key, told) in [
        ("proxy_addr", &config.proxy_addr, "host_proxy", &config.host_proxy),
        ("admin_addr", &config.admin_addr, "host_admin", &config.host_admin),
    ] {
        let is_loopback = addr::host(addr).starts_with("127.") || addr::host(addr) == "localhost";
        findings.warn_if(is_loopback && told.is_empty(), key, || {
            format!(
                "is `{addr}`, which only this machine reaches, and others are told to come here: \
                 listen on `0.0.0.0`, or set `{told_key}`"
            )
        });
    }
    if config.proto_type == ProtoType::Tcp6 {
        let finding = because_of_topology("proto_type", config.topology, "cannot be `tcp6`");
        findings.errors.push(finding);
    }
}

fn check_times(config: &Config, findings: &mut Findings) {
    let reply = config.backend_recv_timeout;
    findings.warn_if(
        reply.is_zero() || reply > CONFIRMATION_TIMEOUT,
        "backend_recv_timeout",
        || {
            format!(
                "lets a request hold up a change of slots for longer than the {} after which the \
             dashboard of the product expels the proxy",
                duration_text(CONFIRMATION_TIMEOUT)
            )
        },
    );
    let is_shorter = reply.is_zero() || config.migration_timeout < reply;
    if !is_shorter {
        findings.warnings.push(Finding {
            key: "migration_timeout",
            other: Some("backend_recv_timeout"),
            text: format!(
                "`migration_timeout` is not below `backend_recv_timeout`, which is {}: the \
                 connection is given up before the source can answer",
                duration_text(reply)
            ),
        });
    }
}

/// Addresses with commas between them, or none.
fn check_addr_list(key: &'static str, list: &str, findings: &mut Findings) {
    if list.is_empty() {
        return;
    }
    for text in list.split(',') {
        if let Err(error) = addr::check_connectable(text.trim()) {
            return findings.require(false, key, || format!("cannot be used: {error}"));
        }
    }
}

fn check_jodis(config: &mut Config, findings: &mut Findings) {
    config.jodis_name.make_ascii_lowercase();
    let name = config.jodis_name.as_str();
    if config.jodis_addr.is_empty() {
        // A file of Codis may name the kind alone: there, too, the proxy does not register then.
        return findings.warn_if(!name.is_empty(), "jodis_name", || {
            "has no effect: `jodis_addr` is empty, so the proxy does not register".to_owned()
        });
    }
    let known = "`zookeeper` or `etcd`";
    if name.is_empty() {
        findings.errors.push(Finding {
            key: "jodis_name",
            other: Some("jodis_addr"),
            text: format!("`jodis_name` is needed with `jodis_addr`: {known}"),
        });
    } else if FILESYSTEM.contains(&name) {
        findings.require(false, "jodis_name", || {
            format!(
                "cannot be `{name}`: clients on other machines do not see files here, use {known}"
            )
        });
    } else if CoordinatorName::of_word(name).is_none() {
        findings.require(false, "jodis_name", || format!("takes {known}, not `{name}`"));
    }
    let timeout = config.jodis_timeout;
    let is_long = timeout.is_zero() || timeout >= SESSION_TIMEOUT_MIN;
    findings.require(is_long, "jodis_timeout", || {
        format!("must be at least {}", duration_text(SESSION_TIMEOUT_MIN))
    });
    findings.warn_if(config.topology.is_in_coordinator(), "jodis_addr", || {
        format!(
            "has no effect with `topology = \"{}\"`: clients find the proxy by its node in the \
             coordinator of the product",
            config.topology
        )
    });
}

#[cfg(test)]
mod tests;
