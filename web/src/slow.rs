//! The slowest recent requests, as the live page shows them.
//!
//! Of the arguments only the first words are told: the command and its key, cut. The page is for
//! finding what is slow, and is open to more people than the data.
//!
//! Bounds: [`LINES_MAX`] lines with [`TEXT_CHARS_MAX`] characters of arguments each.

use actors::slow_log::SlowRequest;
use actors::stats::QuerySlow;
use serde::Serialize;

use crate::pages::no_answer;
use crate::reply::Refusal;
use crate::{ACTOR_TIMEOUT, Admin};

/// So many of the newest count as recent, whatever `slowlog_max_len` is: the workers make them
/// anew for every look.
const RECENT_MAX: usize = 128;

/// So many are worth a look at once.
const LINES_MAX: usize = 20;

/// The characters of a command and its key.
const TEXT_CHARS_MAX: usize = 64;

/// One slow request.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SlowLine {
    id: u64,
    unix_s: u64,
    request: String,
    client: String,
    client_name: String,
    backend: String,
    total_us: u32,
    queue_us: u32,
    backend_us: u32,
    write_us: u32,
}

/// The slowest of the newest requests in the slow log, the slowest first.
pub(crate) async fn slowest(admin: &Admin) -> Result<Vec<SlowLine>, Refusal> {
    let asked = admin.stats.send(QuerySlow { count: RECENT_MAX });
    // A busy worker is left out after a second, hence longer than other questions.
    let requests = asked.timeout(ACTOR_TIMEOUT * 3).await.map_err(no_answer)?;
    Ok(slowest_of(requests))
}

fn slowest_of(mut requests: Vec<SlowRequest>) -> Vec<SlowLine> {
    // Of equal ones the newer comes first, as they came.
    requests.sort_by_key(|request| std::cmp::Reverse(request.parts.total_us()));
    requests.truncate(LINES_MAX);
    requests.iter().map(SlowLine::of).collect()
}

impl SlowLine {
    fn of(request: &SlowRequest) -> Self {
        let parts = request.parts;
        Self {
            id: request.id,
            unix_s: request.unix_s,
            request: shown(&request.argv),
            client: request.peer.to_string(),
            client_name: request.client_name.clone(),
            backend: request.backend.as_ref().map(ToString::to_string).unwrap_or_default(),
            total_us: parts.total_us(),
            queue_us: parts.queue_us,
            backend_us: parts.backend_us,
            write_us: parts.write_us,
        }
    }
}

/// The command and the argument behind it, cut. Dots stand for what is left out.
fn shown(argv: &[Vec<u8>]) -> String {
    let words = argv.iter().take(2).map(|arg| arg.escape_ascii().to_string());
    let text = words.collect::<Vec<_>>().join(" ");
    let mut cut: String = text.chars().take(TEXT_CHARS_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    if argv.len() > 2 {
        cut.push_str(" …");
    }
    cut
}

#[cfg(test)]
mod tests {
    use actors::slow_log::Parts;

    use super::*;

    fn request(id: u64, backend_us: u32) -> SlowRequest {
        SlowRequest {
            id,
            unix_s: 1,
            parts: Parts { backend_us, ..Parts::default() },
            argv: vec![b"GET".to_vec(), b"key".to_vec()],
            peer: ([127, 0, 0, 1], 1).into(),
            client_name: String::new(),
            backend: None,
        }
    }

    #[test]
    fn the_slowest_come_first_and_are_bounded() {
        let requests: Vec<_> =
            (0..100).map(|id| request(100 - id, (u32::try_from(id).unwrap() * 37) % 90)).collect();
        let lines = slowest_of(requests);
        assert_eq!(lines.len(), LINES_MAX);
        let key = |line: &SlowLine| std::cmp::Reverse((line.total_us, line.id));
        assert!(lines.is_sorted_by_key(key), "{lines:?}");
    }

    #[test]
    fn a_command_is_shown_with_its_key_alone() {
        let check = |argv: &[&[u8]], expected: &str| {
            let argv: Vec<_> = argv.iter().map(|arg| arg.to_vec()).collect();
            assert_eq!(shown(&argv), expected);
        };
        check(&[b"PING"], "PING");
        check(&[b"SET", b"key", b"private"], "SET key …");
        check(&[b"GET", b"a\xff\n"], "GET a\\xff\\n");
        let long = [b'k'; 100];
        check(&[b"GET", &long], &format!("GET {}…", "k".repeat(60)));
        check(&[], "");
    }
}
