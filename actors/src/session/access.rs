//! Who may use the proxy: passwords, and what an unknown client may not do yet.

use command::{Args, LocalCommand, Plan, Planned};
use resp::ProtocolError;
use resp::request::RequestLimits;

use super::manners::{Manners, Unknown};
use crate::worker::{Credentials, Settings};

/// An unknown client may send requests of at most this many arguments, as in Redis.
const UNKNOWN_ELEMENTS_MAX: usize = 10;

/// An unknown client may send arguments of at most this many bytes, as in Redis.
const UNKNOWN_BULK_BYTES_MAX: usize = 16 * 1024;

/// The limits of framing: narrow until a client has said its password.
pub(super) fn request_limits(settings: &Settings, is_authenticated: bool) -> RequestLimits {
    let limits = settings.request_limits();
    if is_authenticated {
        return limits;
    }
    RequestLimits {
        elements_max: limits.elements_max.min(UNKNOWN_ELEMENTS_MAX),
        bulk_bytes_max: limits.bulk_bytes_max.min(UNKNOWN_BULK_BYTES_MAX),
        ..limits
    }
}

/// The text of a framing error. An unknown client is told that its limits are narrower.
pub(super) fn protocol_error_text(error: &ProtocolError, is_authenticated: bool) -> String {
    match error {
        ProtocolError::InvalidMultibulkLength if !is_authenticated => {
            "ERR Protocol error: unauthenticated multibulk length".to_owned()
        }
        ProtocolError::InvalidBulkLength if !is_authenticated => {
            "ERR Protocol error: unauthenticated bulk length".to_owned()
        }
        other => format!("ERR {other}"),
    }
}

/// Whether a request may only be served to a client that has said its password. Where it is Redis
/// that the client finds, wrong requests are refused as such.
pub(super) fn needs_authentication(planned: &Planned<'_>, manners: &Manners) -> bool {
    use LocalCommand::{Auth, Hello, Quit, Reset};
    match &planned.plan {
        Plan::Local(Auth | Hello) => false,
        Plan::Local(Quit | Reset) => manners.unknown == Unknown::Closed,
        Plan::Reject(rejection) => {
            manners.unknown != Unknown::ToldFaults || !rejection.precedes_auth()
        }
        _ => true,
    }
}

/// Whether a request is a line of HTTP that a browser can be made to send to any port.
pub(super) fn is_http(args: &Args<'_>) -> bool {
    let name = args.get(0).unwrap_or_default();
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"HOST:")
}

/// Whether a name and a password are the configured ones. Takes the same time wherever they
/// differ.
pub(super) fn is_valid(credentials: &Credentials, user: &[u8], password: &[u8]) -> bool {
    let expected_user = if credentials.user.is_empty() { "default" } else { &credentials.user };
    let is_user = is_equal(expected_user.as_bytes(), user);
    let expected = credentials.password.expose().as_bytes();
    let is_password = expected.is_empty() || is_equal(expected, password);
    is_user && is_password
}

fn is_equal(expected: &[u8], given: &[u8]) -> bool {
    let mut difference = expected.len() ^ given.len();
    for (position, byte) in expected.iter().enumerate() {
        let other = given.get(position).copied().unwrap_or(!byte);
        difference |= usize::from(byte ^ other);
    }
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(user: &str, password: &str, given: (&str, &str), expected: bool) {
        let credentials =
            Credentials { user: user.to_owned(), password: config::Secret::new(password) };
        let valid = is_valid(&credentials, given.0.as_bytes(), given.1.as_bytes());
        assert_eq!(valid, expected, "{user}:{password} given {given:?}");
    }

    #[test]
    fn the_configured_user_and_password_are_valid() {
        check("", "secret", ("default", "secret"), true);
        check("app", "secret", ("app", "secret"), true);
        check("", "", ("default", "anything"), true);
    }

    #[test]
    fn everything_else_is_not() {
        check("", "secret", ("default", "secre"), false);
        check("", "secret", ("default", "secret1"), false);
        check("", "secret", ("default", ""), false);
        check("", "secret", ("other", "secret"), false);
        check("app", "secret", ("default", "secret"), false);
        check("", "", ("other", ""), false);
    }
}
