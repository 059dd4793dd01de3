//! The live page: static files of `web/page`, held in the program.
//!
//! The page needs nothing but this server: no build, no other host. The policy that comes with
//! every file forbids the browser anything else, scripts within the page among it.
//!
//! The files hold no data, so everybody may load them. The page asks for the read token when the
//! data routes demand one.

use actix_web::http::header::{ACCEPT, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use crate::reply;

/// What the browser may load and do.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; object-src 'none'";

/// A file of the page.
struct File {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
}

const INDEX: File = File {
    name: "index.html",
    content_type: "text/html; charset=utf-8",
    content: include_str!("../page/index.html"),
};

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// What `index.html` refers to.
const FILES: [File; 6] = [
    File {
        name: "style.css",
        content_type: "text/css; charset=utf-8",
        content: include_str!("../page/style.css"),
    },
    File { name: "page.js", content_type: JAVASCRIPT, content: include_str!("../page/page.js") },
    File {
        name: "charts.js",
        content_type: JAVASCRIPT,
        content: include_str!("../page/charts.js"),
    },
    File {
        name: "coordinator.js",
        content_type: JAVASCRIPT,
        content: include_str!("../page/coordinator.js"),
    },
    File {
        name: "numbers.js",
        content_type: JAVASCRIPT,
        content: include_str!("../page/numbers.js"),
    },
    File {
        name: "icon.svg",
        content_type: "image/svg+xml",
        content: include_str!("../page/icon.svg"),
    },
];

/// `/`: a browser gets the page. Programs of Codis, which do not ask for HTML, are sent on to the
/// overview.
pub(crate) async fn root(request: HttpRequest) -> HttpResponse {
    let mut answer =
        if wants_html(&request) { answer_with(&INDEX) } else { reply::found("/proxy") };
    let vary = HeaderValue::from_static("accept");
    answer.headers_mut().insert(actix_web::http::header::VARY, vary);
    answer
}

/// `/page/{file}`.
pub(crate) async fn file(request: HttpRequest) -> HttpResponse {
    let name = request.match_info().get("file");
    let found = FILES.iter().find(|file| Some(file.name) == name);
    found.map_or_else(reply::not_found, answer_with)
}

fn wants_html(request: &HttpRequest) -> bool {
    let accepted = request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    accepted.flat_map(|text| text.split(',')).any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("text/html")
    })
}

fn answer_with(file: &File) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(file.content_type)
        .insert_header(("Content-Security-Policy", POLICY))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .insert_header(("Referrer-Policy", "no-referrer"))
        // A newer program has a newer page.
        .insert_header(("Cache-Control", "no-cache"))
        .body(file.content)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_who_asks_for_html_gets_the_page() {
        let check = |accept: &str, expected: bool| {
            let request = TestRequest::default().insert_header((ACCEPT, accept)).to_http_request();
            assert_eq!(wants_html(&request), expected, "{accept}");
        };
        check("text/html,application/xhtml+xml,*/*;q=0.8", true);
        check("application/json, Text/HTML;q=0.5", true);
        check("*/*", false);
        check("application/json", false);
        assert!(!wants_html(&TestRequest::default().to_http_request()));
    }

    #[test]
    fn the_page_refers_to_its_own_files_alone() {
        for file in FILES {
            let reference = format!("/page/{}", file.name);
            let importers = FILES.iter().chain([&INDEX]);
            let is_used = importers.map(|file| file.content).any(|text| {
                text.contains(&reference) || text.contains(&format!("\"./{}\"", file.name))
            });
            assert!(is_used, "{} is not used", file.name);
        }
        for file in FILES.iter().chain([&INDEX]) {
            let text = file.content.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http:") && !text.contains("https:"), "{}", file.name);
        }
        assert!(!INDEX.content.contains("style=") && !INDEX.content.contains("<script>"));
    }
}
