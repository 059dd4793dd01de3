//! The errors that the actors answer to clients, all texts in one place.
//!
//! Redis' form: a prefix that clients know, then a sentence. Never an address of another machine.
//! A text says whether the request may have been executed, because that decides whether a client
//! may try again. (What is wrong with a request itself is said by `command::Rejection`.)

use std::fmt;

use command::Dialect;

/// Why a request got no reply of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFailure {
    /// No backend is assigned to the slot.
    SlotOffline,
    /// The slot is held and as many requests as may wait for it do.
    SlotHeld,
    /// The slot was held for longer than a request may wait for it.
    HeldTooLong,
    /// The slots of a read went to different backends while a replica was asked in vain.
    SlotsParted,
    /// A key of the request could not be moved from its source.
    MoveFailed,
    /// The source did not let go of the key in time.
    KeyMoving,
    /// Some of the request's slots migrate in a way that needs one request per key.
    TooManyKeys,
    /// The backend cannot be reached; the request was not sent.
    BackendDown,
    /// The backend has too many requests in flight; the request was not sent.
    BackendBusy,
    /// The connection was lost after the request was sent.
    BackendLost,
    /// The backend did not reply within its deadline.
    BackendTimeout,
    /// The backend sent something that is no reply.
    BackendGarbled,
    /// The client selected a database that the proxy is not configured for.
    NoSuchDatabase,
    /// The proxy lost track of the request: a defect, answered rather than left waiting.
    NoReply,
    /// The proxy itself could not find out in time.
    ProxyTimeout,
}

impl RequestFailure {
    /// The error text for the client, with its prefix.
    #[must_use]
    pub fn to_client(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Codis3 => self.to_codis_client(),
            // The earlier proxies close the connection without a word.
            Dialect::Redis | Dialect::Codis1 | Dialect::Codis2 | Dialect::Reborn => {
                self.to_redis_client()
            }
        }
    }

    /// The text of a Codis 3.2 proxy, where it has one. Its own ones name the socket's error behind
    /// `failure`; of those the two that tell something are kept.
    fn to_codis_client(self) -> &'static str {
        match self {
            Self::SlotOffline => "ERR handle request, slot is not ready, may be offline",
            Self::BackendDown | Self::BackendBusy => "ERR handle response, backend conn reset",
            Self::MoveFailed => "ERR handle request, backend conn reset",
            Self::BackendLost => "ERR handle response, backend conn failure, EOF",
            Self::BackendTimeout => "ERR handle response, backend conn failure, i/o timeout",
            Self::BackendGarbled => "ERR handle response, backend conn failure, bad resp",
            Self::SlotHeld
            | Self::HeldTooLong
            | Self::SlotsParted
            | Self::KeyMoving
            | Self::TooManyKeys
            | Self::NoSuchDatabase
            | Self::NoReply
            | Self::ProxyTimeout => self.to_redis_client(),
        }
    }

    fn to_redis_client(self) -> &'static str {
        match self {
            Self::SlotOffline => "ERR slot is offline, no backend is assigned to it",
            Self::SlotHeld => "TRYAGAIN slot is being changed and too many requests wait for it",
            Self::HeldTooLong => {
                "TRYAGAIN slot is being changed for too long, the request was not executed"
            }
            Self::SlotsParted => "TRYAGAIN slots of the request were changed while it was served",
            Self::MoveFailed => {
                "TRYAGAIN key could not be moved from its source, the request was not executed"
            }
            Self::KeyMoving => "TRYAGAIN key is being moved, the request was not executed",
            Self::TooManyKeys => {
                "TRYAGAIN slots of the request migrate, and it has too many keys for that"
            }
            Self::BackendDown => "ERR backend is down, the request was not sent",
            Self::BackendBusy => {
                "ERR backend has too many requests in flight, the request was not sent"
            }
            Self::BackendLost => {
                "ERR backend connection was lost, the request may have been executed"
            }
            Self::BackendTimeout => {
                "ERR backend did not reply in time, the request may have been executed"
            }
            Self::BackendGarbled => {
                "ERR backend sent a malformed reply, the request may have been executed"
            }
            Self::NoSuchDatabase => "ERR DB index is out of range",
            Self::NoReply => "ERR no reply came for the request, it may have been executed",
            Self::ProxyTimeout => "ERR the proxy could not answer in time",
        }
    }
}

impl fmt::Display for RequestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_redis_client())
    }
}

/// Why the proxy closes a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client closed or reset its side.
    ByClient,
    /// The client said QUIT, or was answered a protocol error.
    AfterReply,
    /// Nothing came for `session_recv_timeout`.
    Idle,
    /// A request was begun and nothing more came for `session_partial_timeout`.
    PartialRequest,
    /// The client took nothing of its replies for `session_send_timeout`.
    SlowReader,
    /// More reply bytes waited than `session_output_bytes_max`.
    OutputLimit,
    /// All clients together hold more than `proxy_max_offheap_size`.
    BufferLimit,
    /// The client spoke HTTP.
    Http,
    /// CLIENT KILL.
    Killed,
    /// A reply broke off after its beginning had been sent to the client.
    BrokenReply,
    /// A request stayed without a reply beyond every deadline.
    NoReply,
    /// The proxy shuts down.
    Shutdown,
    /// `session_break_on_failure` is set and a request failed in the proxy.
    BreakOnFailure,
}

impl CloseReason {
    /// The reason as a stable label for logs and metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::ByClient => "by_client",
            Self::AfterReply => "after_reply",
            Self::Idle => "idle",
            Self::PartialRequest => "partial_request",
            Self::SlowReader => "slow_reader",
            Self::OutputLimit => "output_limit",
            Self::BufferLimit => "buffer_limit",
            Self::Http => "http",
            Self::Killed => "killed",
            Self::BrokenReply => "broken_reply",
            Self::NoReply => "no_reply",
            Self::Shutdown => "shutdown",
            Self::BreakOnFailure => "break_on_failure",
        }
    }

    /// True when an operator may want to know: a limit was met.
    #[must_use]
    pub fn is_limit(self) -> bool {
        matches!(self, Self::SlowReader | Self::OutputLimit | Self::BufferLimit)
    }
}

/// Texts for clients that belong to no request that was forwarded.
pub(crate) mod text {
    use std::borrow::Cow;

    use command::Dialect;

    pub(crate) const NO_AUTH: &str = "NOAUTH Authentication required.";
    pub(crate) const WRONG_PASS: &str =
        "WRONGPASS invalid username-password pair or user is disabled.";
    pub(crate) const NO_PASSWORD_SET: &str = "ERR AUTH <password> called without any password \
         configured for the default user. Are you sure your configuration is correct?";
    pub(crate) const NO_PROTO: &str = "NOPROTO unsupported protocol version";
    pub(crate) const PROTO_NOT_INTEGER: &str =
        "ERR Protocol version is not an integer or out of range";
    pub(crate) const HELLO_NO_AUTH: &str = "NOAUTH HELLO must be called with the client already \
         authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to \
         authenticate the client and select the RESP protocol version at the same time";
    pub(crate) const SYNTAX: &str = "ERR syntax error";
    pub(crate) const NOT_INTEGER: &str = "ERR value is not an integer or out of range";
    pub(crate) const NOT_INTEGER_32: &str =
        "ERR value is out of range, value must between -2147483648 and 2147483647";
    pub(crate) const DB_OUT_OF_RANGE: &str = "ERR DB index is out of range";
    pub(crate) const CLIENT_NAME: &str =
        "ERR Client names cannot contain spaces, newlines or special characters.";
    /// Of those that know passwords alone.
    pub(crate) const AUTH_ARITY: &str = "ERR wrong number of arguments for 'AUTH' command";
    pub(crate) const PING_ARITY: &str = "ERR wrong number of arguments for 'ping' command";
    pub(crate) const NO_SUCH_CLIENT: &str = "ERR No such client";
    pub(crate) const CLIENT_ID: &str = "ERR client-id should be greater than 0";
    pub(crate) const NOT_ONLINE: &str = "ERR router is not online";
    pub(crate) const MAX_CLIENTS: &str = "ERR max number of clients reached";

    /// A client named a backend that serves no slot. Only commands of Codis do that, so the text
    /// is always that of Codis.
    pub(crate) fn no_such_backend(addr: &str) -> String {
        const SHOWN_LETTERS_MAX: usize = 128;
        let shown: String = addr.chars().take(SHOWN_LETTERS_MAX).collect();
        format!("ERR backend server '{shown}' not found")
    }

    /// The text of a dialect in the place of one of ours.
    pub(crate) fn in_dialect(text: &str, dialect: Dialect, databases: usize) -> Cow<'_, str> {
        use Dialect::{Codis1, Codis2, Codis3, Reborn};
        match (dialect, text) {
            (Codis3, NO_AUTH) => "NOAUTH Authentication required".into(),
            (Reborn, NO_AUTH) => "ERR NOAUTH Authentication required".into(),
            (Reborn, WRONG_PASS | NO_PASSWORD_SET | AUTH_ARITY) => "ERR invalid auth".into(),
            (Codis1 | Codis2 | Codis3, WRONG_PASS) => "ERR invalid password".into(),
            (Codis1 | Codis2 | Codis3, NO_PASSWORD_SET) => {
                "ERR Client sent AUTH, but no password is set".into()
            }
            (Codis2, PING_ARITY) => "ERR wrong number of arguments for 'PING' command".into(),
            (Codis1 | Codis2 | Codis3 | Reborn, NOT_INTEGER | NOT_INTEGER_32) => {
                "ERR invalid DB index".into()
            }
            (Codis3, DB_OUT_OF_RANGE) => {
                format!("ERR invalid DB index, only accept DB [0,{databases})").into()
            }
            (Codis1 | Codis2 | Reborn, DB_OUT_OF_RANGE) => {
                "ERR invalid DB index, only accept DB 0".into()
            }
            (_, other) => other.into(),
        }
    }
}

#[cfg(test)]
mod tests;
