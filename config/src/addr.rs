//! The form of addresses: `host:port`, where the host is a name, an IPv4 address or an IPv6
//! address in brackets.
//!
//! Names are not looked up here: a name that does not resolve is the business of whoever connects.

use thiserror::Error;

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddrError {
    /// The text is not `host:port`.
    #[error("`{text}` is not an address, write host:port: `127.0.0.1:6379`, `[::1]:6379`")]
    Form {
        /// What was given.
        text: String,
    },
    /// One connects to no port 0.
    #[error("`{text}` has port 0, nothing can connect to it")]
    PortZero {
        /// What was given.
        text: String,
    },
}

/// Accepts an address one can listen on; port 0 lets the system choose.
pub(crate) fn check_bindable(text: &str) -> Result<&str, AddrError> {
    port(text).map(|_| text)
}

/// Accepts an address one can connect to.
///
/// # Errors
/// When the text is no address, or has port 0.
pub fn check_connectable(text: &str) -> Result<&str, AddrError> {
    match port(text)? {
        0 => Err(AddrError::PortZero { text: text.to_owned() }),
        _ => Ok(text),
    }
}

/// Completes `host` to `host:port`.
pub(crate) fn with_default_port(text: &str, port: u16) -> Result<String, AddrError> {
    let has_port = if text.starts_with('[') { !text.ends_with(']') } else { text.contains(':') };
    let complete = if has_port { text.to_owned() } else { format!("{text}:{port}") };
    check_connectable(&complete)?;
    Ok(complete)
}

/// The host of an address, without brackets.
pub(crate) fn host(text: &str) -> &str {
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

fn port(text: &str) -> Result<u16, AddrError> {
    let refused = || AddrError::Form { text: text.to_owned() };
    let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let is_host = match bracketed {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        }
    };
    if is_host && port.bytes().all(|b| b.is_ascii_digit()) {
        port.parse().map_err(|_| refused())
    } else {
        Err(refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for text in ["127.0.0.1:6379", "redis_1.internal:1", "[::1]:65535", "a:1"] {
            assert_eq!(check_connectable(text), Ok(text));
        }
        for text in ["", ":", "a", "a:", ":1", "a:65536", "a:+1", "::1:1", "[]:1", "a b:1", "a@b:1"]
        {
            assert!(check_bindable(text).is_err(), "`{text}`");
        }
    }

    #[test]
    fn port_zero_can_be_listened_on_and_not_connected_to() {
        assert!(check_bindable("127.0.0.1:0").is_ok());
        assert!(check_connectable("127.0.0.1:0").is_err());
    }

    #[test]
    fn a_missing_port_is_completed() {
        assert_eq!(with_default_port("a", 6379), Ok("a:6379".to_owned()));
        assert_eq!(with_default_port("[::1]", 1), Ok("[::1]:1".to_owned()));
        assert_eq!(with_default_port("a:2", 1), Ok("a:2".to_owned()));
        assert!(with_default_port("a:", 1).is_err());
    }

    #[test]
    fn the_host_of_an_address_has_no_brackets() {
        assert_eq!(host("[::1]:6379"), "::1");
        assert_eq!(host("redis-1:6379"), "redis-1");
    }
}
