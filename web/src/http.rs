//! The HTTP client: for dashboards, for other proxies and for the receivers of reports.
//!
//! Plain HTTP/1.1, connections kept between requests, no redirects: what was meant for one machine,
//! a password perhaps, goes to no other. No error holds a URL, which may hold an xauth.
//!
//! Bounds: the caller's time limit covers everything from the name's lookup to the last byte of the
//! answer; an answer has at most [`ANSWER_BYTES_MAX`] bytes.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::web::Bytes;
use awc::error::{ConnectError, SendRequestError};
use awc::{Client, ClientRequest};
use tokio::time::timeout;

/// The largest answer that is read.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 << 20;

/// How much of somebody else's text goes into the log.
const EXCERPT_CHARS_MAX: usize = 200;

/// An answer, whatever its status says.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct HttpClient(Client);

impl HttpClient {
    /// A client without connections. It lives on the thread that made it.
    pub(crate) fn new() -> Self {
        // The limits are those of each exchange.
        Self(Client::builder().disable_redirects().disable_timeout().finish())
    }

    /// A request, to be completed and given to [`exchange`].
    pub(crate) fn request(&self, method: Method, url: &str) -> ClientRequest {
        self.0.request(method, url)
    }
}

/// Sends a request and reads the answer, within a limit.
///
/// # Errors
/// Why there is no answer, as a text for the log.
pub(crate) async fn exchange(
    request: ClientRequest,
    body: Vec<u8>,
    limit: Duration,
) -> Result<HttpAnswer, String> {
    let exchanged = async {
        let sent = request.send_body(body).await;
        let mut answer = sent.map_err(|error| reason(&error))?;
        let body = answer.body().limit(ANSWER_BYTES_MAX).await;
        let body = body.map_err(|error| format!("read the answer: {error}"))?;
        Ok(HttpAnswer { status: answer.status().as_u16(), body })
    };
    timeout(limit, exchanged).await.unwrap_or_else(|_| Err(no_answer_within(limit)))
}

/// Why a request got no answer.
fn reason(error: &SendRequestError) -> String {
    match error {
        SendRequestError::Connect(ConnectError::Io(error)) => format!("cannot be reached: {error}"),
        SendRequestError::Connect(ConnectError::Resolver(error)) => {
            format!("its name cannot be resolved: {error}")
        }
        SendRequestError::Connect(error) => format!("cannot be reached: {error}"),
        error => error.to_string(),
    }
}

/// The beginning of somebody else's text, in one line, for the log.
pub(crate) fn excerpt(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().take(EXCERPT_CHARS_MAX).map(printable).collect()
}

/// The text for a limit that has passed.
pub(crate) fn no_answer_within(limit: Duration) -> String {
    format!("no answer within {}", config::duration_text(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_text_cannot_write_lines_of_its_own_to_the_log() {
        assert_eq!(excerpt("one\ntwo\u{1b}[0m\n"), "one two [0m");
        assert_eq!(excerpt(&"ä".repeat(1000)), "ä".repeat(EXCERPT_CHARS_MAX));
    }

    #[test]
    fn why_there_is_no_answer_reads_as_a_sentence() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = SendRequestError::Connect(ConnectError::Io(refused));
        assert_eq!(reason(&error), "cannot be reached: connection refused");
        let missing = std::io::Error::other("no such name");
        let error = SendRequestError::Connect(ConnectError::Resolver(missing.into()));
        assert_eq!(reason(&error), "its name cannot be resolved: no such name");
    }
}
