//! Rules about files as text: head comment, sizes, white space, unfinished work.

use super::Finding;
use super::source::Source;

/// The most lines of a file.
const FILE_LINES_MAX: usize = 500;

/// The most lines of a function.
const FUNCTION_LINES_MAX: usize = 70;

/// Words that mark unfinished work. Written in two parts, so that this file has none.
const OPEN_WORK: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(head_comment(source));
    findings.extend(file_length(source));
    findings.extend(function_length(source));
    findings
}

pub(super) fn check_text(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = white_space(path, text);
    findings.extend(last_line(path, text));
    findings.extend(open_work(path, text));
    findings
}

/// A file says first what it is for. The tests beside a module need not: the module does.
fn head_comment(source: &Source) -> Option<Finding> {
    let is_beside = source.path.ends_with("/tests.rs");
    let is_missing = !source.text.starts_with("//!") && !is_beside;
    is_missing.then(|| Finding {
        path: source.path.clone(),
        line: 1,
        rule: "head-comment",
        what: "begin with `//!`: what the file owns, promises and bounds".to_owned(),
        weight: 1,
    })
}

fn file_length(source: &Source) -> Option<Finding> {
    let lines = source.text.lines().count();
    (lines > FILE_LINES_MAX).then(|| Finding {
        path: source.path.clone(),
        line: lines,
        rule: "file-length",
        what: format!("{lines} lines, {FILE_LINES_MAX} at most"),
        weight: lines,
    })
}

fn function_length(source: &Source) -> Vec<Finding> {
    let long = source.functions.iter().filter(|function| function.lines > FUNCTION_LINES_MAX);
    long.map(|function| Finding {
        path: source.path.clone(),
        line: function.line,
        rule: "function-length",
        what: format!(
            "`{}` has {} lines, {FUNCTION_LINES_MAX} at most",
            function.name, function.lines
        ),
        weight: function.lines,
    })
    .collect()
}

fn white_space(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let mut find = |what: &str| {
            findings.push(Finding {
                path: path.to_owned(),
                line,
                rule: "white-space",
                what: what.to_owned(),
                weight: 1,
            });
        };
        if content.ends_with([' ', '\t']) {
            find("spaces at the end");
        }
        if path.ends_with(".rs") && content.contains('\t') {
            find("a tab");
        }
    }
    findings
}

fn last_line(path: &str, text: &str) -> Option<Finding> {
    let is_wrong = !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n"));
    is_wrong.then(|| Finding {
        path: path.to_owned(),
        line: text.lines().count(),
        rule: "last-line",
        what: "end with one line end".to_owned(),
        weight: 1,
    })
}

/// Unfinished work has an issue, `#12` in the same line.
fn open_work(path: &str, text: &str) -> Vec<Finding> {
    let is_word = |line: &str, word: &str| {
        let mut parts = line.split(|c: char| !c.is_ascii_alphanumeric());
        parts.any(|part| part == word)
    };
    let has_issue = |line: &str| {
        let mut parts = line.split('#').skip(1);
        parts.any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let lines = (1..).zip(text.lines());
    let open = lines.filter(|(_, content)| {
        OPEN_WORK.iter().any(|word| is_word(content, word)) && !has_issue(content)
    });
    open.map(|(line, _)| Finding {
        path: path.to_owned(),
        line,
        rule: "open-work",
        what: "open an issue and name it, `#12`".to_owned(),
        weight: 1,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::parse(path, text).unwrap()
    }

    #[test]
    fn a_file_without_head_comment_is_found() {
        assert!(head_comment(&source("a/src/lib.rs", "fn main() {}\n")).is_some());
        assert!(head_comment(&source("a/src/lib.rs", "//! Is.\n")).is_none());
        assert!(head_comment(&source("a/src/b/tests.rs", "use super::*;\n")).is_none());
    }

    #[test]
    fn a_file_beyond_the_limit_is_found() {
        assert!(file_length(&source("a.rs", &"// line\n".repeat(500))).is_none());
        let finding = file_length(&source("a.rs", &"// line\n".repeat(501)));
        assert_eq!(finding.map(|finding| finding.weight), Some(501));
    }

    #[test]
    fn a_function_beyond_the_limit_is_found() {
        let text = |lines: usize| format!("fn f() {{\n{}}}\n", "call();\n".repeat(lines - 2));
        assert!(function_length(&source("a.rs", &text(70))).is_empty());
        let findings = function_length(&source("a.rs", &text(71)));
        assert_eq!(findings.iter().map(|f| f.weight).collect::<Vec<_>>(), [71]);
    }

    #[test]
    fn stray_white_space_is_found() {
        let lines = |path: &str, text: &str| {
            white_space(path, text).iter().map(|finding| finding.line).collect::<Vec<_>>()
        };
        assert_eq!(lines("a.rs", "a\nb \n\tc\n"), [2, 3]);
        assert_eq!(lines("a.md", "a\t\n\tb\n"), [1]);
    }

    #[test]
    fn a_file_ends_with_one_line_end() {
        assert!(last_line("a.md", "a\n").is_none() && last_line("a.md", "").is_none());
        assert!(last_line("a.md", "a").is_some() && last_line("a.md", "a\n\n").is_some());
    }

    #[test]
    fn unfinished_work_without_issue_is_found() {
        for word in OPEN_WORK {
            assert_eq!(open_work("a.rs", &format!("a\n// {word}: later\n")).len(), 1, "{word}");
            assert!(open_work("a.rs", &format!("// {word}(#12): later\n")).is_empty());
            assert!(open_work("a.rs", &format!("let {word}S = 1;\n")).is_empty());
        }
    }
}
