//! SLOWLOG: the slow requests of this proxy, in the form of a Redis server's slow log.
//!
//! ```text
//! GET:        id, unix time, microseconds, [arguments], client, name of the client
//! GET PARTS:  the same, backend, microseconds in the queue, in the backend, until written
//! ```
//!
//! An entry has exactly the six elements of Redis unless the client asks for more: there are
//! client libraries that read six from the stream, and would take a seventh for the next entry.
//! The workers are asked through the StatsActor, within a deadline.

use command::{Args, SlowLogCommand};
use resp::encode;

use super::SessionActor;
use crate::client_error::text;
use crate::session::local::parse_integer;
use crate::session::window::Ticket;
use crate::slow_log::SlowRequest;
use crate::stats::{ForgetSlow, QuerySlow, QuerySlowCount};

/// How many requests GET tells unless it is said, as in Redis.
const COUNT_DEFAULT: usize = 10;

/// What Redis says to a wrong count.
const WRONG_COUNT: &str = "ERR count should be greater than or equal to -1";

/// What `SLOWLOG GET` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    count: usize,
    /// Where the time went, too.
    has_parts: bool,
}

impl Wanted {
    fn parse(args: &Args<'_>) -> Result<Self, &'static str> {
        let is_parts =
            |index| args.get(index).is_some_and(|word: &[u8]| word.eq_ignore_ascii_case(b"PARTS"));
        let (count, has_parts) = match args.len() {
            2 => return Ok(Self { count: COUNT_DEFAULT, has_parts: false }),
            3 if is_parts(2) => return Ok(Self { count: COUNT_DEFAULT, has_parts: true }),
            3 => (args.get(2), false),
            4 if is_parts(3) => (args.get(2), true),
            _ => return Err(text::SYNTAX),
        };
        let count = count.and_then(parse_integer).filter(|count| *count >= -1);
        // -1 is all of them, as is what fits no address.
        let count = usize::try_from(count.ok_or(WRONG_COUNT)?).unwrap_or(usize::MAX);
        Ok(Self { count, has_parts })
    }
}

impl SessionActor {
    pub(super) fn slow_log(&mut self, command: SlowLogCommand, ticket: Ticket, args: &Args<'_>) {
        let stats = self.links.stats.clone();
        match command {
            SlowLogCommand::Get => match Wanted::parse(args) {
                Ok(Wanted { count, has_parts }) => self.ask(ticket, async move {
                    let requests = stats.send(QuerySlow { count }).await.ok()?;
                    Some(encode_requests(&requests, has_parts))
                }),
                Err(error) => self.settle_error(ticket, error),
            },
            SlowLogCommand::Len => self.ask(ticket, async move {
                let count = stats.send(QuerySlowCount).await.ok()?;
                let mut reply = Vec::new();
                encode::integer(&mut reply, i64::try_from(count).unwrap_or(i64::MAX));
                Some(reply)
            }),
            SlowLogCommand::Reset => self.ask(ticket, async move {
                stats.send(ForgetSlow).await.ok()?;
                let mut reply = Vec::new();
                encode::simple_string(&mut reply, "OK");
                Some(reply)
            }),
            // Answered by the caller.
            SlowLogCommand::Help => {}
        }
    }
}

fn encode_requests(requests: &[SlowRequest], has_parts: bool) -> Vec<u8> {
    let mut reply = Vec::new();
    encode::array_header(&mut reply, requests.len());
    for request in requests {
        encode_request(&mut reply, request, has_parts);
    }
    reply
}

fn encode_request(out: &mut Vec<u8>, request: &SlowRequest, has_parts: bool) {
    let integer = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let parts = request.parts;
    encode::array_header(out, if has_parts { 10 } else { 6 });
    encode::integer(out, integer(request.id));
    encode::integer(out, integer(request.unix_s));
    encode::integer(out, parts.total_us().into());
    encode::array_header(out, request.argv.len());
    for arg in &request.argv {
        encode::bulk(out, arg);
    }
    encode::bulk(out, request.peer.to_string().as_bytes());
    encode::bulk(out, request.client_name.as_bytes());
    if has_parts {
        let backend = request.backend.as_ref().map_or("", |addr| addr.as_str());
        encode::bulk(out, backend.as_bytes());
        encode::integer(out, parts.queue_us.into());
        encode::integer(out, parts.backend_us.into());
        encode::integer(out, parts.write_us.into());
    }
}

#[cfg(test)]
mod tests {
    use resp::request::{RequestFramer, RequestLimits};

    use super::*;
    use crate::slow_log::Parts;

    #[track_caller]
    fn check(request: &str, expected: Result<(usize, bool), &'static str>) {
        let words: Vec<_> = request.split(' ').map(str::as_bytes).collect();
        let (mut frame, mut spans) = (Vec::new(), Vec::new());
        encode::request(&mut frame, &words);
        RequestFramer::new(RequestLimits::default()).next(&frame, &mut spans).unwrap();
        let wanted = Wanted::parse(&Args::new(&frame, &spans));
        assert_eq!(wanted.map(|wanted| (wanted.count, wanted.has_parts)), expected, "{request}");
    }

    #[test]
    fn a_count_and_the_parts_can_be_asked_for() {
        check("SLOWLOG GET", Ok((10, false)));
        check("SLOWLOG GET 3", Ok((3, false)));
        check("SLOWLOG GET -1", Ok((usize::MAX, false)));
        check("SLOWLOG GET parts", Ok((10, true)));
        check("SLOWLOG GET 0 PARTS", Ok((0, true)));
        check("SLOWLOG GET -2", Err(WRONG_COUNT));
        check("SLOWLOG GET x", Err(WRONG_COUNT));
        check("SLOWLOG GET 3 x", Err(text::SYNTAX));
        check("SLOWLOG GET 3 PARTS x", Err(text::SYNTAX));
    }

    #[test]
    fn an_entry_has_the_six_elements_of_redis_and_with_parts_four_more() {
        let request = SlowRequest {
            id: 7,
            unix_s: 1_700_000_000,
            parts: Parts { queue_us: 1, backend_us: 20, write_us: 300 },
            argv: vec![b"GET".to_vec(), b"k".to_vec()],
            peer: ([127, 0, 0, 1], 9).into(),
            client_name: "app".to_owned(),
            backend: "h:1".parse().ok(),
        };
        let common = ":7\r\n:1700000000\r\n:321\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n\
                      $11\r\n127.0.0.1:9\r\n$3\r\napp\r\n";
        let reply = |has_parts| {
            String::from_utf8(encode_requests(std::slice::from_ref(&request), has_parts)).unwrap()
        };
        assert_eq!(reply(false), format!("*1\r\n*6\r\n{common}"));
        assert_eq!(reply(true), format!("*1\r\n*10\r\n{common}$3\r\nh:1\r\n:1\r\n:20\r\n:300\r\n"));
        assert_eq!(encode_requests(&[], true), b"*0\r\n");
    }
}
