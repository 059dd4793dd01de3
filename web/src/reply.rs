//! The answers of the admin protocol: 200 with JSON, 800 with a cause, 404 as text.
//!
//! Clients of Codis read a cause from status 800 alone; with any other one the user sees a number
//! and a URL. JSON is indented by four spaces, for those who read it with curl.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

/// The status of every refusal.
const STATUS_REFUSED: u16 = 800;

const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Why an order was not carried out or a question not answered. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(String);

impl Refusal {
    pub(crate) fn new(cause: impl Into<String>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The body of a refusal. Its keys are capitalised, unlike all others.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RemoteError<'a> {
    cause: &'a str,
    /// The original's place in its source; nothing of ours to show.
    stack: Option<()>,
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(STATUS_REFUSED).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let body = RemoteError { cause: &self.0, stack: None };
        HttpResponse::build(self.status_code())
            .reason("refused")
            .content_type(JSON)
            .body(pretty(&body))
    }
}

/// What a handler gives.
pub(crate) type Answer = Result<HttpResponse, Refusal>;

/// A value as JSON.
pub(crate) fn json(value: &impl Serialize) -> HttpResponse {
    json_with(StatusCode::OK, value)
}

/// A value as JSON with a status.
pub(crate) fn json_with(status: StatusCode, value: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status).content_type(JSON).body(pretty(value))
}

/// A value as JSON without any space, for answers that a program asks for every second.
pub(crate) fn compact_json(value: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().content_type(JSON).json(value)
}

/// An order was carried out. The text is a JSON string, quotes included.
pub(crate) fn ok() -> HttpResponse {
    json(&"OK")
}

/// Another page says it.
pub(crate) fn found(location: &'static str) -> HttpResponse {
    HttpResponse::Found().insert_header(("Location", location)).finish()
}

/// A text for people.
pub(crate) fn text(status: StatusCode, body: &'static str) -> HttpResponse {
    HttpResponse::build(status).content_type(TEXT).body(body)
}

/// There is no such page, or not with this method.
pub(crate) fn not_found() -> HttpResponse {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn pretty(value: &impl Serialize) -> Vec<u8> {
    let mut body = Vec::new();
    let mut serializer =
        Serializer::with_formatter(&mut body, PrettyFormatter::with_indent(b"    "));
    // Our own types: no map key that is no string, no writer that fails.
    let _ = value.serialize(&mut serializer);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(value: &impl Serialize) -> String {
        String::from_utf8(pretty(value)).unwrap()
    }

    #[test]
    fn an_order_is_answered_by_a_json_string() {
        assert_eq!(body(&"OK"), "\"OK\"");
        assert_eq!(ok().status(), 200);
    }

    #[test]
    fn a_refusal_has_status_800_and_capitalised_keys() {
        let refused = Refusal::new("use of closed proxy");
        assert_eq!(refused.status_code().as_u16(), 800);
        let form = RemoteError { cause: "use of closed proxy", stack: None };
        let expected = "{\n    \"Cause\": \"use of closed proxy\",\n    \"Stack\": null\n}";
        assert_eq!(body(&form), expected);
    }
}
