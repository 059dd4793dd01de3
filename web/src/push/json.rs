//! The overview of the proxy, posted to a URL: as `/proxy` has it, without slots and commands.
//!
//! The receiver answers with 200; anything else is a failure.

use std::time::Duration;

use actix_web::http::Method;

use crate::Admin;
use crate::http::{HttpClient, exchange};
use crate::pages::{COMPILED, VERSION};
use crate::stats::{Overview, Stats};

const CONTENT_TYPE: &str = "application/json";

/// See the module.
pub(super) struct Json {
    http: HttpClient,
    url: String,
}

impl Json {
    pub(super) fn new(http: HttpClient, url: &str) -> Self {
        Self { http, url: url.to_owned() }
    }

    pub(super) async fn send(
        &self,
        admin: &Admin,
        stats: Stats,
        limit: Duration,
    ) -> Result<(), String> {
        let overview = Overview {
            version: VERSION,
            compile: COMPILED,
            config: admin.shared.settings.config.to_public_json(),
            model: &admin.identity.model,
            stats,
            slots: None,
        };
        let body = serde_json::to_vec(&overview).map_err(|error| error.to_string())?;
        let request = self.http.request(Method::POST, &self.url).content_type(CONTENT_TYPE);
        let answer = exchange(request, body, limit).await?;
        match answer.status {
            200 => Ok(()),
            status => Err(format!("status {status}")),
        }
    }
}
