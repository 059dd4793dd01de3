//! An HTTP client for the admin API of one proxy.
//!
//! Blocking: a command asks one or two questions and ends. Nothing here prints a URL, since URLs
//! hold the xauth. Proxies for HTTP that the environment names are not used, for the same reason.
//!
//! Bounds: [`CONNECT_TIMEOUT`] to find and reach the proxy, [`ANSWER_TIMEOUT`] for a whole request,
//! as Codis' own programs have them; an answer of at most [`ANSWER_BYTES_MAX`].

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use config::Secret;
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body, Error, Timeout};

/// How long it may take to look a name up, and then to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a request may take in all.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The largest answer that is read: 1024 slots with a dozen replicas each are a fraction of it.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// The status with which the protocol refuses, with a cause.
const STATUS_REFUSED: u16 = 800;

/// A proxy that was not asked for anything yet.
pub(crate) struct Client {
    agent: Agent,
    addr: String,
    answer_timeout: Duration,
}

impl Client {
    /// A client for the proxy whose admin API has this address. Connects when it is asked.
    pub(crate) fn new(addr: &str) -> Self {
        Self::with_answer_timeout(addr, ANSWER_TIMEOUT)
    }

    fn with_answer_timeout(addr: &str, answer_timeout: Duration) -> Self {
        let agent = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(answer_timeout))
            .user_agent(concat!("keyway/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self { agent, addr: addr.to_owned(), answer_timeout }
    }

    /// Who the proxy is, as JSON. Everybody may ask.
    pub(crate) fn model(&self) -> Result<String> {
        let url = format!("http://{}/api/proxy/model", self.addr);
        self.answer(self.agent.get(url).call())
    }

    /// Computes what the proxy wants to be shown. Without a name the proxy's own one is taken.
    pub(crate) fn sign_in(self, product_name: Option<&str>, auth: &Secret) -> Result<SignedIn> {
        let model = self.model()?;
        let no_model = || format!("{} answers, but not as a proxy", self.addr);
        let model: Value = serde_json::from_str(&model).with_context(no_model)?;
        let field = |name| model.get(name).and_then(Value::as_str).with_context(no_model);
        let product_name = match product_name {
            Some(name) => name,
            None => field("product_name")?,
        };
        let xauth = web::xauth(product_name, auth, field("token")?);
        Ok(SignedIn { client: self, xauth })
    }

    /// The body of an answer that is none of a refusal.
    fn answer(&self, response: Result<Response<Body>, Error>) -> Result<String> {
        let mut response = response.map_err(|error| self.failure(error))?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let body = body.map_err(|error| self.failure(error))?;
        match status {
            200 => Ok(body),
            STATUS_REFUSED => bail!("{} refuses: {}", self.addr, cause(&body)),
            status => bail!("{} answers with HTTP status {status}: is it a proxy?", self.addr),
        }
    }

    fn failure(&self, error: Error) -> anyhow::Error {
        let addr = &self.addr;
        match error {
            Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                anyhow!("{addr} cannot be reached within {CONNECT_TIMEOUT:?}")
            }
            Error::Timeout(_) => anyhow!("{addr} did not answer within {:?}", self.answer_timeout),
            Error::HostNotFound => anyhow!("{addr}: there is no host of this name"),
            Error::Io(error) => anyhow!(error).context(format!("talk to {addr}")),
            error => anyhow!(error).context(format!("{addr} does not answer as a proxy")),
        }
    }
}

/// A client that has what the proxy wants to be shown.
pub(crate) struct SignedIn {
    client: Client,
    xauth: Secret,
}

impl SignedIn {
    /// Asks a question: the xauth takes the place of `{x}` in the path below `/api/proxy/`.
    pub(crate) fn get(&self, path: &str) -> Result<String> {
        self.client.answer(self.client.agent.get(self.url(path)).call())
    }

    /// Gives an order, as [`SignedIn::get`] asks.
    pub(crate) fn put(&self, path: &str, body: &[u8]) -> Result<String> {
        self.client.answer(self.client.agent.put(self.url(path)).send(body))
    }

    /// Gives an order that makes something new, as [`SignedIn::get`] asks.
    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Result<String> {
        self.client.answer(self.client.agent.post(self.url(path)).send(body))
    }

    fn url(&self, path: &str) -> String {
        let path = path.replace("{x}", self.xauth.expose());
        format!("http://{}/api/proxy/{path}", self.client.addr)
    }
}

/// What a refusal says; the whole body when it is none of the protocol.
fn cause(body: &str) -> String {
    let json: Option<Value> = serde_json::from_str(body).ok();
    let cause = json.as_ref().and_then(|json| json.get("Cause")?.as_str());
    super::text::printable(cause.unwrap_or(body))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    /// What a client says of somebody who accepts it, sends this and then nothing more.
    fn failure_with(sent: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let client = Client::with_answer_timeout(&addr, Duration::from_millis(300));
        let asked = std::thread::spawn(move || client.model().unwrap_err());
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        format!("{:#}", asked.join().unwrap()).replace(&addr, "ADDR")
    }

    #[test]
    fn who_does_not_answer_or_does_not_finish_is_not_waited_for() {
        let late = "ADDR did not answer within 300ms";
        assert_eq!(failure_with(""), late);
        assert_eq!(failure_with("HTTP/1.1 200 OK\r\n"), late);
        assert_eq!(failure_with("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), late);
    }

    #[test]
    fn another_kind_of_server_is_told_from_a_proxy() {
        let answer = |status| format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}");
        let told = failure_with(&answer("404 Not Found"));
        assert_eq!(told, "ADDR answers with HTTP status 404: is it a proxy?");
        let told = failure_with(&answer("302 Found\r\nLocation: http://127.0.0.1:1/"));
        assert_eq!(told, "ADDR answers with HTTP status 302: is it a proxy?");
        let told = failure_with("-ERR unknown command\r\n\r\n");
        assert!(told.starts_with("ADDR does not answer as a proxy: "), "{told}");
    }

    #[test]
    fn a_refusal_is_told_by_its_cause() {
        assert_eq!(cause("{\"Cause\": \"invalid xauth\", \"Stack\": null}"), "invalid xauth");
        assert_eq!(cause("{\"Cause\": \"two\\nlines\"}"), "two lines");
        assert_eq!(cause("out of order"), "out of order");
        assert_eq!(cause("{\"Cause\": 7}"), "{\"Cause\": 7}");
    }
}
