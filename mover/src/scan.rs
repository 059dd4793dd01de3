//! The keys of slots on a server, found by SCAN.
//!
//! Every key that is there from the first question of a scan to its last is found, whatever else
//! is moved away meanwhile; so a scan that finds none while no client writes such keys to the
//! server proves that there is none. Keys may be found twice.

use resp::value::Value;
use routing::slot_of;

use crate::options::SlotSet;
use crate::server::{Questions, ServerConn, ServerError};

/// How many keys a server looks at for one question: it is busy with them for less than a
/// millisecond.
const SCAN_COUNT: &[u8] = b"1000";

/// What an element is taken to occupy by a server that cannot tell.
const ELEMENT_BYTES: u64 = 64;

/// A scan of the selected database.
#[derive(Debug)]
pub(crate) struct Scan {
    cursor: Vec<u8>,
    is_over: bool,
}

impl Scan {
    pub(crate) fn new() -> Self {
        Self { cursor: b"0".to_vec(), is_over: false }
    }

    /// True when every key has been found.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The next keys, of any slot.
    pub(crate) async fn next(&mut self, conn: &mut ServerConn) -> Result<Vec<Value>, ServerError> {
        let answer = conn.expect(&[b"SCAN", &self.cursor, b"COUNT", SCAN_COUNT]).await?;
        let Value::Array(parts) = answer else {
            return Err(conn.odd("SCAN"));
        };
        let mut parts = parts.into_iter();
        let (Some(Value::Bulk(cursor)), Some(Value::Array(keys))) = (parts.next(), parts.next())
        else {
            return Err(conn.odd("SCAN"));
        };
        self.is_over = cursor == b"0";
        self.cursor = cursor;
        Ok(keys)
    }

    /// The next keys of some slots.
    pub(crate) async fn next_of(
        &mut self,
        conn: &mut ServerConn,
        slots: &SlotSet,
    ) -> Result<Vec<Vec<u8>>, ServerError> {
        let keys = self.next(conn).await?.into_iter().filter_map(|key| match key {
            Value::Bulk(key) => Some(key),
            _ => None,
        });
        Ok(keys.filter(|key| slots.contains(slot_of(key))).collect())
    }
}

/// How many bytes keys of the selected database occupy; `None` for a key that is not there.
pub(crate) async fn sizes(
    conn: &mut ServerConn,
    keys: &[Vec<u8>],
) -> Result<Vec<Option<u64>>, ServerError> {
    let mut questions = Questions::new("MEMORY USAGE");
    for key in keys {
        questions.push(&[b"MEMORY", b"USAGE", key]);
    }
    let answers = conn.ask_all(&questions).await?;
    let is_unknown = |reply: &str| {
        let reply = reply.to_ascii_lowercase();
        reply.contains("unknown") || reply.starts_with("noperm")
    };
    if answers.iter().filter_map(Value::as_error).any(is_unknown) {
        return lengths(conn, keys).await;
    }
    if let Some(reply) = answers.iter().find_map(Value::as_error) {
        return Err(conn.refused(&[b"MEMORY"], reply));
    }
    Ok(answers.iter().map(|answer| answer.as_integer()?.try_into().ok()).collect())
}

/// An estimate by the number of elements, for servers without MEMORY USAGE.
async fn lengths(conn: &mut ServerConn, keys: &[Vec<u8>]) -> Result<Vec<Option<u64>>, ServerError> {
    let mut questions = Questions::new("TYPE");
    for key in keys {
        questions.push(&[b"TYPE", key]);
    }
    let kinds = conn.ask_all(&questions).await?;
    let mut questions = Questions::new("length");
    for (key, kind) in keys.iter().zip(&kinds) {
        let command: &[u8] = match kind.as_str().unwrap_or_default() {
            "string" => b"STRLEN",
            "hash" => b"HLEN",
            "set" => b"SCARD",
            "list" => b"LLEN",
            "zset" => b"ZCARD",
            "stream" => b"XLEN",
            // The answer is a number as well.
            _ => b"EXISTS",
        };
        questions.push(&[command, key]);
    }
    let lengths = conn.ask_all(&questions).await?;
    let size = |(kind, length): (&Value, &Value)| {
        let length = u64::try_from(length.as_integer()?).ok()?;
        match kind.as_str()? {
            "none" => None,
            "string" => Some(length),
            _ => Some(length.saturating_mul(ELEMENT_BYTES)),
        }
    };
    Ok(kinds.iter().zip(&lengths).map(size).collect())
}
