//! Proxies as the mover reaches them: through their admin APIs, its own one included.
//!
//! The token of another proxy is asked for with every order, since it changes when the proxy
//! changes its addresses; the xauth follows from it, from the name and from the password of the
//! product, which all its proxies share.
//!
//! Bounds: [`QUESTION_TIMEOUT`] for a question; [`FILL_TIMEOUT`] for a change of slots, longer than
//! a proxy of Keyway takes to answer it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use actix_web::http::Method;
use config::{Config, Secret, SlotForm, fill_slots};
use mover::{Asked, ControlError, Fleet, MoverState, ProxyControl, SlotSet};
use serde::Deserialize;

use crate::auth::proxy_xauth;
use crate::http::{HttpAnswer, HttpClient, excerpt, exchange};
use crate::model::Identity;

/// How long a question may take.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a change of slots may take.
const FILL_TIMEOUT: Duration = Duration::from_secs(60);

/// The only status of success, and that of refusals.
const STATUS_OK: u16 = 200;
const STATUS_REFUSED: u16 = 800;

/// See the module. It lives on the thread that made it.
pub struct AdminFleet {
    http: HttpClient,
    product_name: String,
    product_auth: Secret,
    own: Rc<HttpProxy>,
}

impl AdminFleet {
    /// The proxies of a product, of which this is one.
    #[must_use]
    pub fn new(config: &Config, identity: &Identity, admin: SocketAddr) -> Self {
        let http = HttpClient::new();
        let own = HttpProxy {
            http: http.clone(),
            addr: reachable(admin).to_string(),
            name: "this proxy".to_owned(),
            key: Key::Known(identity.xauth.clone()),
        };
        Self {
            http,
            product_name: config.product_name.clone(),
            product_auth: config.product_auth.clone(),
            own: Rc::new(own),
        }
    }
}

/// Where a listener of this machine is reached from this machine.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

impl Fleet for AdminFleet {
    fn own(&self) -> Rc<dyn ProxyControl> {
        Rc::clone(&self.own) as Rc<dyn ProxyControl>
    }

    fn proxy(&self, addr: &str) -> Rc<dyn ProxyControl> {
        Rc::new(HttpProxy {
            http: self.http.clone(),
            addr: addr.to_owned(),
            name: format!("proxy {addr}"),
            key: Key::Asked {
                product_name: self.product_name.clone(),
                product_auth: self.product_auth.clone(),
            },
        })
    }
}

/// What opens a proxy.
enum Key {
    Known(Secret),
    Asked { product_name: String, product_auth: Secret },
}

struct HttpProxy {
    http: HttpClient,
    addr: String,
    name: String,
    key: Key,
}

/// The part of a model that is needed.
#[derive(Deserialize)]
struct ModelForm {
    token: String,
}

/// The part of an answer about moves that is needed.
#[derive(Deserialize)]
struct MovesForm {
    has_state_dir: bool,
    moving: String,
}

/// The body of a refusal.
#[derive(Deserialize)]
struct RefusalForm {
    #[serde(rename = "Cause")]
    cause: String,
}

impl HttpProxy {
    async fn xauth(&self) -> Result<Secret, ControlError> {
        let (product_name, product_auth) = match &self.key {
            Key::Known(xauth) => return Ok(xauth.clone()),
            Key::Asked { product_name, product_auth } => (product_name, product_auth),
        };
        let answer = self.ask(Method::GET, "model", Vec::new(), QUESTION_TIMEOUT).await?;
        let model: ModelForm = read(&answer)?;
        Ok(proxy_xauth(product_name, product_auth, &model.token))
    }

    /// Asks with the xauth at the end of the path.
    async fn ask_signed(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<HttpAnswer, ControlError> {
        let xauth = self.xauth().await?;
        self.ask(method, &format!("{path}/{}", xauth.expose()), body, limit).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<HttpAnswer, ControlError> {
        let url = format!("http://{}/api/proxy/{path}", self.addr);
        let answer = exchange(self.http.request(method, &url), body, limit).await;
        let answer = answer.map_err(ControlError::Failed)?;
        match answer.status {
            STATUS_OK => Ok(answer),
            STATUS_REFUSED => {
                let refusal: Result<RefusalForm, _> = serde_json::from_slice(&answer.body);
                let cause = refusal.map(|refusal| excerpt(&refusal.cause));
                let text = cause.unwrap_or_else(|_| "it refuses without a cause".to_owned());
                Err(ControlError::Refused(text))
            }
            status => Err(ControlError::Refused(format!("it answers with status {status}"))),
        }
    }
}

fn read<'a, T: Deserialize<'a>>(answer: &'a HttpAnswer) -> Result<T, ControlError> {
    let odd = |_| ControlError::Failed("it does not answer as a proxy that can move slots".into());
    serde_json::from_slice(&answer.body).map_err(odd)
}

impl ProxyControl for HttpProxy {
    fn name(&self) -> &str {
        &self.name
    }

    fn fill(&self, slots: Vec<SlotForm>) -> Asked<'_, ()> {
        Box::pin(async move {
            let body = serde_json::to_vec(&slots);
            let body = body.map_err(|error| ControlError::Refused(error.to_string()))?;
            self.ask_signed(Method::PUT, "fillslots", body, FILL_TIMEOUT).await.map(drop)
        })
    }

    fn slots(&self) -> Asked<'_, Vec<SlotForm>> {
        Box::pin(async move {
            let answer = self.ask_signed(Method::GET, "slots", Vec::new(), QUESTION_TIMEOUT);
            let answer = answer.await?;
            fill_slots::parse_order("slots", &answer.body)
                .map_err(|error| ControlError::Failed(error.to_string()))
        })
    }

    fn mover(&self) -> Asked<'_, MoverState> {
        Box::pin(async move {
            let answer = self.ask_signed(Method::GET, "slots/moves", Vec::new(), QUESTION_TIMEOUT);
            let answer = answer.await.map_err(|error| match error {
                // A proxy of Codis, or of an older version.
                ControlError::Refused(text) if text.ends_with("status 404") => {
                    ControlError::Refused("it cannot take part in moves of slots".to_owned())
                }
                error => error,
            })?;
            let form: MovesForm = read(&answer)?;
            let moving = match form.moving.as_str() {
                "" => SlotSet::default(),
                text => text.parse().map_err(ControlError::Failed)?,
            };
            Ok(MoverState { keeps_slots: form.has_state_dir, moving })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_interface_is_reached_on_the_loopback() {
        let check = |listener: &str, expected: &str| {
            assert_eq!(reachable(listener.parse().unwrap()).to_string(), expected);
        };
        check("0.0.0.0:1", "127.0.0.1:1");
        check("[::]:1", "[::1]:1");
        check("10.0.0.7:1", "10.0.0.7:1");
    }
}
