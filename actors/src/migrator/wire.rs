//! What is said to a source to make it let go of keys, and what it answers. The forms are those of
//! Redis (`MIGRATE`) and of Codis' servers (`SLOTSMGRT...`).

use std::ops::Range;

use command::Args;
use command::Dialect;
use resp::encode;
use resp::value::Value;
use routing::BackendAddr;

use super::queues::Key;
use crate::worker::Credentials;

/// Asks a source which commands it has.
pub(super) const ABILITIES: [&[u8]; 5] =
    [b"COMMAND", b"INFO", b"MIGRATE", b"SLOTSMGRTTAGONE", b"SLOTSMGRT-EXEC-WRAPPER"];

/// How a source is made to let go of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum MoveMethod {
    /// `MIGRATE`: stock servers.
    Migrate,
    /// `SLOTSMGRTTAGONE`: Codis servers, in sync mode.
    Sync,
    /// `SLOTSMGRT-EXEC-WRAPPER`: Codis servers, in semi-async mode.
    SemiAsync,
}

/// Which methods a source has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abilities {
    migrate: bool,
    sync: bool,
    semi_async: bool,
}

impl Abilities {
    /// Reads the answer to [`ABILITIES`]. A server that does not know the question is an old one of
    /// Codis.
    pub(super) fn read(answer: &[u8]) -> Self {
        let codis = Self { migrate: false, sync: true, semi_async: true };
        let Ok(Some((value, _))) = Value::decode(answer) else {
            return codis;
        };
        let Some([migrate, sync, semi_async]) = value.as_array() else {
            return codis;
        };
        Self {
            migrate: !migrate.is_null(),
            sync: !sync.is_null(),
            semi_async: !semi_async.is_null(),
        }
    }

    /// The method to use: Codis' commands where the server has them, in the mode that the slot's
    /// assignment asks for.
    pub(super) fn method(self, is_semi_async: bool) -> MoveMethod {
        if is_semi_async && self.semi_async {
            MoveMethod::SemiAsync
        } else if self.sync {
            MoveMethod::Sync
        } else {
            MoveMethod::Migrate
        }
    }
}

/// `MIGRATE` of some keys.
pub(super) struct Migrate<'a> {
    pub(super) target: &'a BackendAddr,
    pub(super) credentials: &'a Credentials,
    pub(super) database: u16,
    pub(super) timeout_ms: &'a str,
    /// Whether a key that the target has already is replaced.
    pub(super) replaces: bool,
    pub(super) keys: &'a [Key],
}

impl Migrate<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (port, database) = (self.target.port().to_string(), self.database.to_string());
        let host = self.target.host().as_bytes();
        let mut args: Vec<&[u8]> = vec![b"MIGRATE", host, port.as_bytes(), b""];
        args.extend([database.as_bytes(), self.timeout_ms.as_bytes()]);
        if self.replaces {
            args.push(b"REPLACE");
        }
        let (user, password) = (&self.credentials.user, self.credentials.password.expose());
        if !password.is_empty() && user.is_empty() {
            args.extend([b"AUTH".as_slice(), password.as_bytes()]);
        } else if !password.is_empty() {
            args.extend([b"AUTH2".as_slice(), user.as_bytes(), password.as_bytes()]);
        }
        args.push(b"KEYS");
        args.extend(self.keys.iter().map(|(_, key)| key.as_ref()));
        let mut out = Vec::new();
        encode::request(&mut out, &args);
        out
    }
}

/// `SLOTSMGRTTAGONE`: moves a key and all that share its tag.
pub(super) fn tag_one(target: &BackendAddr, timeout_ms: &str, key: &[u8]) -> Vec<u8> {
    let port = target.port().to_string();
    let (host, timeout) = (target.host().as_bytes(), timeout_ms.as_bytes());
    let mut out = Vec::new();
    encode::request(&mut out, &[b"SLOTSMGRTTAGONE", host, port.as_bytes(), timeout, key]);
    out
}

/// `SLOTSMGRT-EXEC-WRAPPER`: a request that the source runs if it has the key.
pub(super) fn exec_wrapper(key: &[u8], request: &Args<'_>) -> Vec<u8> {
    let args: Vec<&[u8]> =
        [b"SLOTSMGRT-EXEC-WRAPPER".as_slice(), key].into_iter().chain(request.iter()).collect();
    let mut out = Vec::new();
    encode::request(&mut out, &args);
    out
}

/// What a source says when it was told to let go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MoveAnswer {
    /// It does not have the keys (any more).
    LetGo,
    /// The target has the key already, and was not to replace it.
    TargetHasIt,
    /// It could not reach the target in time. Whether the target has a copy is not known.
    Unreachable(String),
    /// It did not work, in the server's words.
    Failed(String),
}

impl MoveAnswer {
    pub(super) fn read(method: MoveMethod, answer: &[u8]) -> Self {
        match (answer.first(), method) {
            (Some(b'-'), _) => {
                let text = error_text(answer);
                if text.starts_with("IOERR") {
                    Self::Unreachable(text)
                } else if text.contains("BUSYKEY") {
                    Self::TargetHasIt
                } else {
                    Self::Failed(text)
                }
            }
            (Some(b'+'), MoveMethod::Migrate) | (Some(b':'), MoveMethod::Sync) => Self::LetGo,
            (first, _) => Self::Failed(format!("should be integer, but got {}", type_name(first))),
        }
    }
}

/// What a source says to a wrapped request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExecAnswer {
    /// It does not have the key.
    LetGo,
    /// The key is on its way: ask again.
    Moving,
    /// It has run the request; its reply is this part of the answer.
    Reply(Range<usize>),
    /// It did not work, in the server's words.
    Failed(String),
}

impl ExecAnswer {
    pub(super) fn read(answer: &[u8]) -> Self {
        if answer.first() == Some(&b'-') {
            return Self::Failed(error_text(answer));
        }
        let Some(rest) = answer.strip_prefix(b"*2\r\n:") else {
            return Self::Failed(format!("should be array, but got {}", type_name(answer.first())));
        };
        let line = rest.iter().position(|byte| *byte == b'\r').unwrap_or(rest.len());
        let second = answer.len() - rest.len() + line + 2..answer.len();
        match rest.get(..line) {
            Some(b"0") => Self::LetGo,
            Some(b"1") => Self::Moving,
            // With -1 the server has not run it and says why in a reply of its own.
            Some(b"2" | b"-1") if !second.is_empty() => Self::Reply(second),
            _ => Self::Failed(format!("type(array[0]) = <int>, len(array[0].value) = {line}")),
        }
    }
}

/// What a client is told when a source refuses to let go: nothing was executed.
pub(super) fn refusal_text(dialect: Dialect, method: MoveMethod, text: &str) -> String {
    match (dialect, method) {
        (Dialect::Codis3, MoveMethod::SemiAsync) => {
            format!("ERR handle request, bad slotsmgrt-exec-wrapper resp: {text}")
        }
        (Dialect::Codis3, _) => format!("ERR handle request, bad slotsmgrt resp: {text}"),
        (_, _) => format!(
            "TRYAGAIN key could not be moved from its source, the request was not executed: {text}"
        ),
    }
}

/// The text of an error reply, fit for one line.
pub(super) fn error_text(answer: &[u8]) -> String {
    let line = answer.get(1..).unwrap_or_default();
    let end = line.iter().position(|byte| *byte == b'\r').unwrap_or(line.len());
    String::from_utf8_lossy(line.get(..end).unwrap_or_default()).into_owned()
}

/// The type of a reply in the words of Codis.
fn type_name(first: Option<&u8>) -> &'static str {
    match first {
        Some(b'+') => "<string>",
        Some(b'-') => "<error>",
        Some(b'$') => "<bulkbytes>",
        Some(b':') => "<int>",
        Some(b'*') => "<array>",
        _ => "<unknown>",
    }
}

#[cfg(test)]
mod tests;
