//! What a proxy's addresses are called: in its token, and towards others.
//!
//! A listener on every interface (`0.0.0.0`) cannot be dialled by that name, so the model of the
//! proxy names an address that others can reach: the machine's name where it leads to this machine
//! from outside, else the first interface that is not local. An operator who knows better gives
//! `host_admin` and `host_proxy`.
//!
//! Names are looked up at start only, within a limit.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use config::ProtoType;
use thiserror::Error;
use tokio::net::lookup_host;
use tokio::time::timeout;

/// How long the machine's own name may take to resolve: it is in a local file or it is no help.
const OWN_NAME_TIMEOUT: Duration = Duration::from_millis(30);

/// How long a name that the operator gave may take to resolve.
const GIVEN_NAME_TIMEOUT: Duration = Duration::from_secs(5);

/// An address that others cannot connect to.
#[derive(Debug, Error)]
pub enum AddressError {
    /// The name leads nowhere.
    #[error("`{key}` is `{text}`, which does not resolve: {error}")]
    Unresolved {
        /// The setting.
        key: &'static str,
        /// Its value.
        text: String,
        /// What the resolver says.
        error: io::Error,
    },
    /// Nobody can connect to `0.0.0.0`.
    #[error("`{key}` is `{text}`, which is no address of one machine")]
    Unspecified {
        /// The setting.
        key: &'static str,
        /// Its value.
        text: String,
    },
}

/// Spells the address of a listener as a Codis proxy would, which goes into its token.
///
/// Go listens for `tcp` on `0.0.0.0` with a socket of both families where there are both, and that
/// socket's address reads `[::]`. With `tcp4` it reads as it was given.
#[must_use]
pub(crate) fn codis_spelling(local: SocketAddr, proto: ProtoType) -> String {
    spelling(local, proto, has_both_families)
}

fn spelling(local: SocketAddr, proto: ProtoType, has_both: impl FnOnce() -> bool) -> String {
    let is_any = local.is_ipv4() && local.ip().is_unspecified();
    if is_any && proto == ProtoType::Tcp && has_both() {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, local.port())).to_string()
    } else {
        local.to_string()
    }
}

fn has_both_families() -> bool {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

/// The address of a listener as told to others. `given` is the setting `key`, empty when not set.
///
/// # Errors
/// When the given address leads nowhere.
pub(crate) async fn advertised(
    key: &'static str,
    given: &str,
    local: SocketAddr,
    hostname: &str,
) -> Result<String, AddressError> {
    if !given.is_empty() {
        return check_given(key, given).await.map(|()| given.to_owned());
    }
    if !local.ip().is_unspecified() {
        return Ok(local.to_string());
    }
    if leads_here(hostname, local.port()).await {
        return Ok(format!("{hostname}:{}", local.port()));
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let reachable = interfaces.iter().map(if_addrs::Interface::ip).find(is_global_unicast);
    Ok(match reachable {
        Some(ip) => SocketAddr::new(ip, local.port()).to_string(),
        // No network at all: the name is the better guess, since `0.0.0.0` is surely wrong.
        None => format!("{hostname}:{}", local.port()),
    })
}

async fn check_given(key: &'static str, given: &str) -> Result<(), AddressError> {
    let text = || given.to_owned();
    let resolved = timeout(GIVEN_NAME_TIMEOUT, lookup_host(given)).await;
    let resolved = resolved.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let first = match resolved {
        Ok(mut addrs) => addrs.next(),
        Err(error) => {
            return Err(AddressError::Unresolved { key, text: text(), error });
        }
    };
    match first {
        Some(addr) if !addr.ip().is_unspecified() => Ok(()),
        _ => Err(AddressError::Unspecified { key, text: text() }),
    }
}

async fn leads_here(hostname: &str, port: u16) -> bool {
    if hostname.is_empty() {
        return false;
    }
    match timeout(OWN_NAME_TIMEOUT, lookup_host((hostname, port))).await {
        Ok(Ok(mut addrs)) => addrs.next().is_some_and(|addr| is_global_unicast(&addr.ip())),
        Ok(Err(_)) | Err(_) => false,
    }
}

/// True for an address of one machine that is more than local to it or to one cable.
fn is_global_unicast(ip: &IpAddr) -> bool {
    let is_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(is_local || ip.is_unspecified() || ip.is_loopback() || ip.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_spelling(local: &str, proto: ProtoType, has_both: bool, expected: &str) {
        let spelled = spelling(local.parse().unwrap(), proto, || has_both);
        assert_eq!(spelled, expected, "{local} {proto} {has_both}");
    }

    #[test]
    fn a_listener_on_every_interface_is_spelled_as_go_does() {
        check_spelling("0.0.0.0:19000", ProtoType::Tcp4, true, "0.0.0.0:19000");
        check_spelling("0.0.0.0:11080", ProtoType::Tcp, true, "[::]:11080");
        check_spelling("0.0.0.0:11080", ProtoType::Tcp, false, "0.0.0.0:11080");
        check_spelling("10.0.0.1:11080", ProtoType::Tcp, true, "10.0.0.1:11080");
        check_spelling("[::]:11080", ProtoType::Tcp, true, "[::]:11080");
    }

    fn told(given: &str, local: &str, hostname: &str) -> Result<String, String> {
        let told = advertised("host_admin", given, local.parse().unwrap(), hostname);
        actix_rt::System::new().block_on(told).map_err(|error| error.to_string())
    }

    #[test]
    fn the_address_told_to_others_is_never_unspecified() {
        let own = told("", "0.0.0.0:11080", "no such host name").unwrap();
        assert!(!own.starts_with("0.0.0.0") && own.ends_with(":11080"), "{own}");
        assert_eq!(told("", "127.0.0.1:11080", "name").unwrap(), "127.0.0.1:11080");
        assert_eq!(told("127.0.0.2:1", "0.0.0.0:11080", "name").unwrap(), "127.0.0.2:1");
        let error = told("0.0.0.0:1", "0.0.0.0:11080", "name").unwrap_err();
        assert_eq!(error, "`host_admin` is `0.0.0.0:1`, which is no address of one machine");
        let error = told("host.invalid:1", "0.0.0.0:11080", "name").unwrap_err();
        assert!(error.starts_with("`host_admin` is `host.invalid:1`, which does not"), "{error}");
    }

    #[test]
    fn addresses_of_one_cable_or_machine_are_not_told() {
        for (ip, expected) in [
            ("192.0.2.2", true),
            ("10.1.2.3", true),
            ("2001:db8::1", true),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("fe80::1", false),
            ("::1", false),
        ] {
            assert_eq!(is_global_unicast(&ip.parse().unwrap()), expected, "{ip}");
        }
    }
}
