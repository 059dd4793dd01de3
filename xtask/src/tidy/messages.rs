//! The grammar of messages: log lines and error texts read alike wherever they come from.
//!
//! Lower case at the start, no full stop at the end. A name in capitals may begin a message (`TLS
//! is not supported`); so may a word of the Redis protocol.

use super::Finding;
use super::source::Source;
use super::source::Token;

/// The macros of `slog`.
const LOG_MACROS: [&str; 6] = ["crit", "error", "warn", "info", "debug", "trace"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = log_lines(source);
    findings.extend(error_texts(source));
    findings
}

/// `info!(log, "message"; ...)`.
fn log_lines(source: &Source) -> Vec<Finding> {
    let calls = LOG_MACROS.iter().flat_map(|name| {
        source.tokens.windows(3).enumerate().filter_map(move |(index, call)| {
            let [word, bang, open] = call else {
                return None;
            };
            (word.is(name) && bang.is("!") && open.is("(")).then(|| source.tokens.get(index..))?
        })
    });
    let messages = calls.filter_map(|call| call.iter().find(|token| token.text().is_some()));
    messages.filter_map(|message| judge(source, message, "log-grammar")).collect()
}

/// `#[error("text")]`.
fn error_texts(source: &Source) -> Vec<Finding> {
    let attributes = source.find(&["#", "[", "error", "("]).filter_map(|found| found.get(4));
    attributes.filter_map(|text| judge(source, text, "error-grammar")).collect()
}

fn judge(source: &Source, message: &Token, rule: &'static str) -> Option<Finding> {
    let text = message.text()?;
    let what = fault(text)?;
    Some(Finding {
        path: source.path.clone(),
        line: message.line,
        rule,
        what: format!("{what}: `{text}`"),
        weight: 1,
    })
}

fn fault(text: &str) -> Option<&'static str> {
    let first = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let is_name = first.len() > 1 && first.chars().all(|c| c.is_uppercase() || c.is_numeric());
    // Redis' own words, which clients compare.
    let is_protocol = text.starts_with("Protocol error");
    if first.starts_with(char::is_uppercase) && !is_name && !is_protocol {
        Some("begin with a lower-case letter")
    } else if text.ends_with('.') && !text.ends_with("...") {
        Some("end without a full stop")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_lines(text: &str, expected: &[usize]) {
        let source = Source::parse("a.rs", text).unwrap();
        let lines: Vec<_> = check(&source).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, expected, "{text}");
    }

    #[test]
    fn a_log_line_that_is_a_sentence_is_found() {
        check_lines("fn f() { info!(self.log, \"Client closed\"; \"id\" => 1); }", &[1]);
        check_lines("fn f() {\nwarn!(log,\n\"client closed.\"); }", &[3]);
        check_lines("fn f() { info!(log, \"client closed\"; \"a\" => \"B.\"); }", &[]);
        check_lines("fn f() { info!(log, \"TLS is off\"); }", &[]);
    }

    #[test]
    fn an_error_text_that_is_a_sentence_is_found() {
        check_lines("enum E {\n#[error(\"Slot is offline\")]\nA }", &[2]);
        check_lines("enum E { #[error(\"slot is offline.\")] A }", &[1]);
        check_lines("enum E { #[error(\"`{slot}` is offline\")] A, #[error(\"{0}\")] B }", &[]);
        check_lines("enum E { #[error(transparent)] A }", &[]);
        check_lines("enum E { #[error(\"Protocol error: too big\")] A }", &[]);
    }
}
