//! One word per thing: the forbidden words of `docs/glossary.md` are in no identifier.
//!
//! The glossary's table has three columns, `term | meaning | not`. A word in backticks in the last
//! one is forbidden. String literals are free: Redis' own fields have Redis' names.

use super::Finding;
use super::source::Source;
use super::source::Token;

/// The forbidden words, each with the term that stands for it.
pub(super) fn forbidden(glossary: &str) -> Vec<(String, String)> {
    let mut words = Vec::new();
    for line in glossary.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        if let [term, _, not] = cells.as_slice() {
            let quoted = not.split('`').skip(1).step_by(2);
            words.extend(quoted.map(|word| (word.to_owned(), (*term).to_owned())));
        }
    }
    words
}

/// Names of others are theirs: what is called on something (`.x`) or lies in a path (`::x`) is
/// judged where it is defined.
pub(super) fn check(source: &Source, forbidden: &[(String, String)]) -> Vec<Finding> {
    let is_path = |before: &[Token]| match before {
        [_, dot] if dot.is(".") => true,
        [first, second] => first.is(":") && second.is(":"),
        _ => false,
    };
    let mut findings = Vec::new();
    for place in source.tokens.windows(3) {
        let [before @ .., token] = place else {
            continue;
        };
        let Some(identifier) = token.word().filter(|_| !is_path(before)) else {
            continue;
        };
        for part in parts(identifier) {
            let known = forbidden.iter().find(|(word, _)| is_word(&part, word));
            if let Some((word, term)) = known {
                findings.push(Finding {
                    path: source.path.clone(),
                    line: token.line,
                    rule: "glossary",
                    what: format!("`{identifier}` says {word}, the glossary says {term}"),
                    weight: 1,
                });
            }
        }
    }
    findings
}

fn is_word(part: &str, word: &str) -> bool {
    part == word || part.strip_suffix('s') == Some(word) || part.strip_suffix("es") == Some(word)
}

/// The words of an identifier, in lower case.
fn parts(identifier: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut was_lower = false;
    for c in identifier.chars() {
        if c == '_' || (c.is_uppercase() && was_lower) {
            parts.push(String::new());
        }
        was_lower = c.is_lowercase() || c.is_numeric();
        if let (Some(part), true) = (parts.last_mut(), c != '_') {
            part.extend(c.to_lowercase());
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLOSSARY: &str = "\
| term | meaning | not |
|---|---|---|
| slot | a part of the key space | `bucket`, `shard` |
| backend | a redis address | `upstream`; server in prose is fine |
";

    #[test]
    fn forbidden_words_stand_in_backticks_in_the_last_column() {
        let words: Vec<_> = forbidden(GLOSSARY).into_iter().map(|(word, _)| word).collect();
        assert_eq!(words, ["bucket", "shard", "upstream"]);
    }

    #[test]
    fn identifiers_are_cut_into_words() {
        assert_eq!(parts("slot_of"), ["slot", "of"]);
        assert_eq!(parts("SlotTable"), ["slot", "table"]);
        assert_eq!(parts("BUCKETS_MAX"), ["buckets", "max"]);
    }

    #[test]
    fn a_forbidden_word_in_a_name_is_found() {
        let check_lines = |text: &str, expected: &[usize]| {
            let source = Source::parse("a.rs", text).unwrap();
            let findings = check(&source, &forbidden(GLOSSARY));
            let lines: Vec<_> = findings.iter().map(|finding| finding.line).collect();
            assert_eq!(lines, expected, "{text}");
        };
        check_lines("mod a;\nfn shards_of() {}\nstruct UpstreamConn;", &[2, 3]);
        check_lines("// a shard\nfn f() { call(\"bucket\"); }", &[]);
        check_lines("fn f() { library::shard(a.bucket); }", &[]);
    }
}
