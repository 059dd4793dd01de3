//! Rules about what code may use where.
//!
//! They keep the absences that `ARCHITECTURE.md` promises: cores without io and clock, HTTP in one
//! crate, the whole cast started in three files.

use super::Finding;
use super::source::Source;
use super::source::Token;

/// Crates without io, clock and actors.
const PURE: [&str; 3] = ["resp", "command", "routing"];

/// What those crates do not use.
const IMPURE: [&[&str]; 7] = [
    &["std", ":", ":", "net"],
    &["std", ":", ":", "fs"],
    &["Instant"],
    &["SystemTime"],
    &["actix"],
    &["actix_rt"],
    &["tokio"],
];

/// The files that start actors.
const STARTERS: [&str; 4] = [
    "src/wiring.rs",
    "actors/src/supervisor.rs",
    "actors/src/router/backends.rs",
    "actors/src/router/migrating.rs",
];

/// Crates that are part of the proxy, and so live by its strictest rules.
const PRODUCT: [&str; 9] =
    ["src", "actors", "command", "config", "coordinator", "mover", "resp", "routing", "web"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = purity(source);
    findings.extend(http(source));
    findings.extend(starts(source));
    findings.extend(unwraps(source));
    findings.extend(sleeps(source));
    findings.extend(test_attributes(source));
    findings
}

/// A finding for each place where a pattern occurs and `is_wrong` says so.
fn matches(
    source: &Source,
    rule: &'static str,
    pattern: &[&str],
    what: &str,
    is_wrong: impl Fn(&Token) -> bool,
) -> Vec<Finding> {
    let places = source.find(pattern).filter_map(<[Token]>::first);
    places
        .filter(|token| is_wrong(token))
        .map(|token| Finding {
            path: source.path.clone(),
            line: token.line,
            rule,
            what: what.to_owned(),
            weight: 1,
        })
        .collect()
}

fn purity(source: &Source) -> Vec<Finding> {
    if !PURE.contains(&source.folder()) {
        return Vec::new();
    }
    let found = IMPURE.iter().flat_map(|pattern| {
        let what = format!("`{}` in a crate without io and clock", pattern.concat());
        matches(source, "purity", pattern, &what, |_| true)
    });
    found.collect()
}

fn http(source: &Source) -> Vec<Finding> {
    let what = "only `web` knows HTTP";
    matches(source, "http", &["actix_web"], what, |_| source.folder() != "web")
}

fn starts(source: &Source) -> Vec<Finding> {
    if !PRODUCT.contains(&source.folder()) || STARTERS.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let what = format!("actors are started only in {}", STARTERS.join(", "));
    let patterns: [&[&str]; 2] = [&[".", "start", "(", ")"], &["start_in_arbiter"]];
    let found = patterns
        .iter()
        .flat_map(|pattern| matches(source, "start", pattern, &what, |token| !token.is_test));
    found.collect()
}

fn unwraps(source: &Source) -> Vec<Finding> {
    let what = "handle it, or `expect` with the reason why it cannot fail";
    let pattern = [".", "unwrap", "(", ")"];
    matches(source, "unwrap", &pattern, what, |token| !token.is_test)
}

fn sleeps(source: &Source) -> Vec<Finding> {
    let what = "a test waits for a condition with a deadline, not for time to pass";
    let calls: [&[&str]; 2] = [&["sleep", "("], &["sleep_until", "("]];
    let found = calls
        .iter()
        .flat_map(|pattern| matches(source, "sleep", pattern, what, |token| token.is_test));
    found.collect()
}

fn test_attributes(source: &Source) -> Vec<Finding> {
    let ignored = "a test that does not run proves nothing";
    let panics = "only for invariant checks: say so in the allow list";
    let mut findings = matches(source, "ignore", &["#", "[", "ignore"], ignored, |_| true);
    findings.extend(matches(source, "should-panic", &["#", "[", "should_panic"], panics, |_| true));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&Source) -> Vec<Finding>, path: &str, text: &str, expected: &[usize]) {
        let source = Source::parse(path, text).unwrap();
        let mut lines: Vec<_> = rule(&source).iter().map(|finding| finding.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, expected, "{path}: {text}");
    }

    #[test]
    fn io_and_clocks_in_a_core_are_found() {
        let text =
            "use std::net::IpAddr;\nuse std::fs;\nlet now = Instant::now();\nuse tokio::io;\n";
        check(purity, "routing/src/a.rs", text, &[1, 2, 3, 4]);
        check(purity, "actors/src/a.rs", text, &[]);
        check(purity, "resp/src/a.rs", "// tokio\nuse std::fmt;\n", &[]);
    }

    #[test]
    fn http_outside_its_crate_is_found() {
        check(http, "actors/src/a.rs", "\nuse actix_web::web;\n", &[2]);
        check(http, "web/src/a.rs", "\nuse actix_web::web;\n", &[]);
    }

    #[test]
    fn an_actor_started_elsewhere_is_found() {
        let text = "fn f() { a.start();\nA::start_in_arbiter(b); }\n";
        check(starts, "actors/src/session.rs", text, &[1, 2]);
        check(starts, "src/wiring.rs", text, &[]);
        check(starts, "actors/tests/a.rs", text, &[]);
        check(starts, "actors/src/a.rs", "fn f() { Proxy::start(a); a.start; }", &[]);
    }

    #[test]
    fn an_unwrap_outside_tests_is_found() {
        let text = "fn f() { a.unwrap(); }\n#[cfg(test)]\nmod tests { fn g() { a.unwrap(); } }\n";
        check(unwraps, "a/src/b.rs", text, &[1]);
        check(unwraps, "a/src/b/tests.rs", text, &[]);
        check(unwraps, "a/src/b.rs", "fn f() { a.unwrap_or_default(); }", &[]);
    }

    #[test]
    fn a_sleep_in_a_test_is_found() {
        let text = "fn f() {\ntokio::time::sleep(a).await; std::thread::sleep(b); }\n";
        check(sleeps, "a/tests/b.rs", text, &[2, 2]);
        check(sleeps, "a/src/b.rs", text, &[]);
    }

    #[test]
    fn a_test_that_is_skipped_or_panics_is_found() {
        let text = "#[test]\n#[ignore]\nfn f() {}\n#[should_panic(expected = \"a\")]\nfn g() {}\n";
        check(test_attributes, "a/src/b.rs", text, &[2, 4]);
    }
}
