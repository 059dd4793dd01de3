//! Whether a key is on the target what it was on the source.
//!
//! A fingerprint is a hash of a key's type, its content and whether it expires. It is taken of the
//! content, not of DUMP: the order in which DUMP has the members of a set or the fields of a hash
//! depends on the process. Sets and hashes are sorted; lists and sorted sets have an order. Streams
//! and types of modules are dumped after all, without the ten bytes of version and checksum.
//!
//! The source is read right before a key is moved, the target right after. A client may write to
//! the key in between, and often will: a difference is then right. Nothing can tell that from
//! damage by looking, so both are told as `changed`; a key that is gone is told as `missing`.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use resp::value::Value;

use crate::server::{Questions, ServerConn, ServerError};

/// Larger keys are not compared: reading one whole would hold up the server.
pub(crate) const BYTES_MAX: u64 = 1 << 20;

/// One of so many keys is compared when a sample is.
const SAMPLE: u64 = 64;

/// The version and the checksum at the end of DUMP.
const FOOTER_BYTES: usize = 10;

/// Whether a key belongs to the sample: always the same keys.
pub(crate) fn is_in_sample(key: &[u8]) -> bool {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish().is_multiple_of(SAMPLE)
}

/// The fingerprints of keys of the selected database; `None` for a key that is not there.
pub(crate) async fn fingerprints(
    conn: &mut ServerConn,
    keys: &[&[u8]],
) -> Result<Vec<Option<u64>>, ServerError> {
    let mut questions = Questions::new("TYPE");
    for key in keys {
        questions.push(&[b"TYPE", key]);
        questions.push(&[b"PTTL", key]);
    }
    let answers = conn.ask_all(&questions).await?;
    let mut questions = Questions::new("read for comparison");
    let mut kinds = Vec::with_capacity(keys.len());
    for (key, answers) in keys.iter().zip(answers.chunks(2)) {
        let [kind, expiry] = answers else {
            return Err(conn.odd("TYPE"));
        };
        for answer in [kind, expiry] {
            if let Some(reply) = answer.as_error() {
                return Err(conn.refused(&[b"TYPE"], reply));
            }
        }
        let kind = kind.as_str().unwrap_or_default().to_owned();
        match kind.as_str() {
            "string" => questions.push(&[b"GET", key]),
            "hash" => questions.push(&[b"HGETALL", key]),
            "set" => questions.push(&[b"SMEMBERS", key]),
            "list" => questions.push(&[b"LRANGE", key, b"0", b"-1"]),
            "zset" => questions.push(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]),
            // Also of a key that is not there, whose answer is null.
            _ => questions.push(&[b"DUMP", key]),
        }
        kinds.push((kind, expiry.as_integer().unwrap_or(-1) >= 0));
    }
    let contents = conn.ask_all(&questions).await?;
    let mut fingerprints = Vec::with_capacity(keys.len());
    for ((kind, expires), content) in kinds.iter().zip(&contents) {
        if let Some(reply) = content.as_error() {
            // Another type by now, or a server that does not let this user read it.
            if reply.starts_with("WRONGTYPE") {
                fingerprints.push(None);
                continue;
            }
            return Err(conn.refused(&[b"read for comparison"], reply));
        }
        fingerprints.push(fingerprint(kind, *expires, content));
    }
    Ok(fingerprints)
}

fn fingerprint(kind: &str, expires: bool, content: &Value) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    (kind, expires).hash(&mut hasher);
    match kind {
        "none" => return None,
        "string" => content.as_bytes()?.hash(&mut hasher),
        "hash" => {
            let items = texts(content);
            let mut fields: Vec<&[&[u8]]> = items.chunks(2).collect();
            fields.sort_unstable();
            fields.hash(&mut hasher);
        }
        "set" => {
            let mut members = texts(content);
            members.sort_unstable();
            members.hash(&mut hasher);
        }
        "list" | "zset" => texts(content).hash(&mut hasher),
        _ => {
            let dump = content.as_bytes()?;
            dump.get(..dump.len().checked_sub(FOOTER_BYTES)?)?.hash(&mut hasher);
        }
    }
    // A key without content has gone between the two questions.
    let is_gone = content.is_null() || content.as_array().is_some_and(<[Value]>::is_empty);
    (!is_gone).then(|| hasher.finish())
}

fn texts(content: &Value) -> Vec<&[u8]> {
    content.as_array().unwrap_or_default().iter().filter_map(Value::as_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[&str]) -> Value {
        Value::Array(items.iter().map(|item| Value::Bulk(item.as_bytes().to_vec())).collect())
    }

    fn check(kind: &str, one: &[&str], two: &[&str], is_equal: bool) {
        let of = |items| fingerprint(kind, false, &list(items));
        assert_eq!(of(one) == of(two), is_equal, "{kind} {one:?} {two:?}");
    }

    #[test]
    fn the_order_of_members_counts_where_there_is_one() {
        check("set", &["a", "b"], &["b", "a"], true);
        check("hash", &["a", "1", "b", "2"], &["b", "2", "a", "1"], true);
        check("hash", &["a", "1", "b", "2"], &["a", "2", "b", "1"], false);
        check("list", &["a", "b"], &["b", "a"], false);
        check("zset", &["a", "1", "b", "2"], &["b", "2", "a", "1"], false);
    }

    #[test]
    fn type_and_expiry_count() {
        let value = Value::Bulk(b"0123456789a".to_vec());
        let mut seen: Vec<_> = [("string", false), ("string", true), ("stream", false)]
            .iter()
            .map(|(kind, expires)| fingerprint(kind, *expires, &value))
            .collect();
        seen.dedup();
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(Option::is_some));
    }

    #[test]
    fn what_is_not_there_has_none() {
        assert_eq!(fingerprint("none", false, &Value::NullBulk), None);
        assert_eq!(fingerprint("string", false, &Value::NullBulk), None);
        assert_eq!(fingerprint("set", false, &list(&[])), None);
        assert_eq!(fingerprint("stream", false, &Value::Bulk(b"short".to_vec())), None);
    }

    #[test]
    fn a_sample_is_about_one_key_of_sixty_four() {
        let keys = (0..64_000).filter(|number| is_in_sample(format!("key:{number}").as_bytes()));
        let count = keys.count();
        assert!((800..1200).contains(&count), "{count}");
    }
}
