//! The HTTP client: for dashboards and for the receivers of reports.
//!
//! Plain HTTP/1.1, connections kept between requests, no redirects: what was meant for one machine,
//! a password perhaps, goes to no other. No error holds a URL, which may hold an xauth.
//!
//! Bounds: the caller's time limit covers everything from the name's lookup to the last byte of the
//! answer; an answer has at most [`ANSWER_BYTES_MAX`] bytes.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::web::Bytes;
use awc::{Client, ClientRequest};
use tokio::time::timeout;

/// The largest answer that is read.
pub(crate) const ANSWER_BYTES_MAX: usize = 1 << 20;

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
        let mut answer = sent.map_err(|error| error.to_string())?;
        let body = answer.body().limit(ANSWER_BYTES_MAX).await;
        let body = body.map_err(|error| format!("read the answer: {error}"))?;
        Ok(HttpAnswer { status: answer.status().as_u16(), body })
    };
    timeout(limit, exchanged).await.unwrap_or_else(|_| Err(no_answer_within(limit)))
}

/// The text for a limit that has passed.
pub(crate) fn no_answer_within(limit: Duration) -> String {
    format!("no answer within {}", config::duration_text(limit))
}
