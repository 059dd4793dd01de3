//! A dashboard of Codis, asked to bring this proxy online.
//!
//! ```text
//! proxy                                   dashboard
//!   GET /api/topom/model              ->    which product is yours?
//!   PUT /api/topom/proxy/online/X/A   ->    bring the proxy at A online
//!       <- model, xping, fillslots, start, sentinels (on this proxy's own admin API)
//!   200                               <-    done
//! ```
//!
//! X is the xauth of dashboards, which knows the product alone. The second answer comes after the
//! dashboard has done its part, so the admin server must be running by then.

use std::time::Duration;

use actix_web::http::Method;
use serde::Deserialize;
use thiserror::Error;

use crate::auth;
use crate::http::{HttpAnswer, HttpClient, excerpt, exchange};

/// How long a dashboard may take to say who it is.
const MODEL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a dashboard may take to bring a proxy online: as long as it itself waits for a proxy.
const ONLINE_TIMEOUT: Duration = Duration::from_secs(60);

/// The only status of success.
const STATUS_OK: u16 = 200;

/// Why a dashboard did not bring the proxy online.
#[derive(Debug, Error)]
pub enum DashboardError {
    /// It is the dashboard of another product: trying again is of no use.
    #[error(
        "the dashboard at `{dashboard}` is of product `{theirs}`, this proxy is of product `{ours}`"
    )]
    OtherProduct {
        /// Its address.
        dashboard: String,
        /// Its product.
        theirs: String,
        /// Our product.
        ours: String,
    },
    /// It cannot be reached, is no dashboard, or has failed; that may pass.
    #[error("the dashboard at `{dashboard}`: {problem}")]
    Failed {
        /// Its address.
        dashboard: String,
        /// What happened.
        problem: String,
    },
}

/// What a dashboard tells of itself, as far as it is of interest here.
#[derive(Deserialize)]
struct DashboardModel {
    product_name: String,
}

/// The body of a refusal.
#[derive(Deserialize)]
struct RemoteError {
    #[serde(rename = "Cause")]
    cause: String,
}

/// Has the dashboard at an address bring the proxy of a product online, whose admin API others
/// reach at `admin_addr`.
///
/// # Errors
/// When it did not.
pub async fn bring_online(
    dashboard: &str,
    product_name: &str,
    admin_addr: &str,
) -> Result<(), DashboardError> {
    let failed = |problem| DashboardError::Failed { dashboard: dashboard.to_owned(), problem };
    let http = HttpClient::new();
    let request = http.request(Method::GET, &format!("http://{dashboard}/api/topom/model"));
    let answer = exchange(request, Vec::new(), MODEL_TIMEOUT).await;
    let theirs = answer.and_then(|answer| product_of(&answer)).map_err(failed)?;
    if theirs != product_name {
        return Err(DashboardError::OtherProduct {
            dashboard: dashboard.to_owned(),
            theirs: excerpt(&theirs),
            ours: product_name.to_owned(),
        });
    }
    let xauth = auth::dashboard_xauth(product_name);
    let path = format!("/api/topom/proxy/online/{}/{admin_addr}", xauth.expose());
    let request = http.request(Method::PUT, &format!("http://{dashboard}{path}"));
    let answer = exchange(request, Vec::new(), ONLINE_TIMEOUT).await;
    answer.and_then(|answer| succeeded(&answer)).map_err(failed)
}

/// Asks the dashboard of Codis 2.0 at an address to put a proxy online; the body says which.
///
/// # Errors
/// When it did not. It refuses with a status and a plain text.
pub async fn ask_for_online(dashboard: &str, body: Vec<u8>) -> Result<(), DashboardError> {
    let failed = |problem| DashboardError::Failed { dashboard: dashboard.to_owned(), problem };
    let request = HttpClient::new().request(Method::POST, &format!("http://{dashboard}/api/proxy"));
    let answer = exchange(request, body, MODEL_TIMEOUT).await.map_err(failed)?;
    if answer.status == STATUS_OK {
        return Ok(());
    }
    let text = excerpt(&String::from_utf8_lossy(&answer.body));
    Err(failed(format!("it refuses with status {}: {text}", answer.status)))
}

fn product_of(answer: &HttpAnswer) -> Result<String, String> {
    succeeded(answer)?;
    let model: Result<DashboardModel, _> = serde_json::from_slice(&answer.body);
    model
        .map(|model| model.product_name)
        .map_err(|_| "it does not answer as a dashboard".to_owned())
}

fn succeeded(answer: &HttpAnswer) -> Result<(), String> {
    if answer.status == STATUS_OK {
        return Ok(());
    }
    match serde_json::from_slice::<RemoteError>(&answer.body) {
        Ok(error) => Err(format!("it refuses: {}", excerpt(&error.cause))),
        Err(_) => Err(format!("it answers with status {}", answer.status)),
    }
}

#[cfg(test)]
mod tests;
