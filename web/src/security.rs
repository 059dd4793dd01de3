//! Who may do what.
//!
//! | what                      | who                                                                |
//! |---------------------------|--------------------------------------------------------------------|
//! | paths with an xauth       | who has it, that is who knows `product_auth`                       |
//! | every other page          | everybody; with `admin_read_token` set, who has that or the xauth, |
//! |                           | as `Authorization: Bearer ...`                                     |
//! | setloglevel               | the same: the tools that use it know no secret                     |
//! | model, healthz, readyz    | everybody: a dashboard and a supervisor begin there                |
//!
//! The server binds the loopback unless the configuration says otherwise. No answer and no log line
//! holds a secret or a URL, which may hold an xauth.

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse};

use crate::Admin;
use crate::auth::is_same;
use crate::reply::{self, Refusal};

/// How many bytes of a header that a client wrote go into the log.
const FORWARDED_FOR_BYTES_MAX: usize = 64;

/// Refuses a caller without the xauth, and every caller of a proxy that is stopping.
pub(crate) fn check_xauth(request: &HttpRequest, admin: &Admin) -> Result<(), Refusal> {
    if admin.shared.lifecycle.is_closed() {
        return Err(Refusal::new("use of closed proxy"));
    }
    match request.match_info().get("xauth") {
        None | Some("") => Err(Refusal::new("missing xauth, please check product name & auth")),
        Some(given) if is_same(&admin.identity.xauth, given) => Ok(()),
        Some(_) => Err(Refusal::new("invalid xauth, please check product name & auth")),
    }
}

/// Whether the caller may see pages without an xauth in their path.
pub(crate) fn may_read(request: &HttpRequest, admin: &Admin) -> bool {
    let token = &admin.shared.settings.config.admin_read_token;
    if token.is_empty() {
        return true;
    }
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, given) = header.and_then(|text| text.split_once(' ')).unwrap_or_default();
    let given = given.trim();
    scheme.eq_ignore_ascii_case("bearer")
        && (is_same(token, given) || is_same(&admin.identity.xauth, given))
}

/// The answer to a reader without a token.
pub(crate) fn unauthorized() -> HttpResponse {
    let text = "401 this page needs the header `Authorization: Bearer <admin_read_token>`\n";
    let mut answer = reply::text(StatusCode::UNAUTHORIZED, text);
    let challenge = actix_web::http::header::HeaderValue::from_static("Bearer");
    answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    answer
}

/// The address of a caller, and what a relay before us says of it, for the log.
pub(crate) fn caller(request: &HttpRequest) -> String {
    let peer = request.peer_addr().map_or_else(String::new, |peer| peer.to_string());
    let forwarded_for = ["X-Real-IP", "X-Forwarded-For"]
        .iter()
        .filter_map(|name| request.headers().get(*name)?.to_str().ok())
        .find(|value| !value.is_empty());
    match forwarded_for {
        Some(value) => {
            let value: String = value.chars().take(FORWARDED_FOR_BYTES_MAX).collect();
            format!("{peer} for {value}")
        }
        None => peer,
    }
}
