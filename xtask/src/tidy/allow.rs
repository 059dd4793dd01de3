//! The allow list: places that break a rule for a reason that is written beside them.
//!
//! A line is `rule path number # reason`; the number is how many findings the rule may have in the
//! file (for sizes: the lines of what is too large, together). It is a ratchet: more is a finding,
//! and less is one too, which says what to lower the number to.

use super::Finding;

/// Where it lies.
pub(super) const PATH: &str = "xtask/tidy-allow.txt";

struct Entry<'t> {
    line: usize,
    rule: &'t str,
    path: &'t str,
    number: usize,
}

/// The findings that are not allowed, and those about the list itself.
pub(super) fn apply(text: &str, findings: Vec<Finding>) -> Vec<Finding> {
    let mut left = findings;
    for (line, entry) in (1..).zip(text.lines()) {
        if entry.starts_with('#') || entry.is_empty() {
            continue;
        }
        let Some(entry) = parse(line, entry) else {
            left.push(about(line, "write `rule path number # reason`".to_owned()));
            continue;
        };
        let is_meant = |finding: &Finding| finding.rule == entry.rule && finding.path == entry.path;
        let found: usize = left.iter().filter(|finding| is_meant(finding)).map(|f| f.weight).sum();
        if found > entry.number {
            continue;
        }
        left.retain(|finding| !is_meant(finding));
        if found == 0 {
            left.push(about(entry.line, "remove the line, nothing needs it".to_owned()));
        } else if found < entry.number {
            left.push(about(entry.line, format!("lower {} to {found}", entry.number)));
        }
    }
    left
}

fn parse(line: usize, text: &str) -> Option<Entry<'_>> {
    let (entry, reason) = text.split_once(" # ")?;
    let mut fields = entry.split_whitespace();
    let entry = Entry {
        line,
        rule: fields.next()?,
        path: fields.next()?,
        number: fields.next()?.parse().ok()?,
    };
    (fields.next().is_none() && !reason.trim().is_empty()).then_some(entry)
}

fn about(line: usize, what: String) -> Finding {
    Finding { path: PATH.to_owned(), line, rule: "allow-list", what, weight: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(weight: usize) -> Finding {
        Finding { path: "a.rs".to_owned(), line: 1, rule: "sleep", what: String::new(), weight }
    }

    fn check(list: &str, weights: &[usize], expected: &[&str]) {
        let findings = weights.iter().map(|weight| finding(*weight)).collect();
        let left: Vec<_> = apply(list, findings).iter().map(Finding::to_string).collect();
        assert_eq!(left, expected, "`{list}` {weights:?}");
    }

    #[test]
    fn the_allowed_number_is_exact() {
        let list = "# comment\n\nsleep a.rs 2 # waits\n";
        check(list, &[1, 1], &[]);
        check(list, &[2], &[]);
        check(list, &[1, 1, 1], &["a.rs:1: sleep: "; 3]);
        check(list, &[1], &["xtask/tidy-allow.txt:3: allow-list: lower 2 to 1"]);
        let unused = "xtask/tidy-allow.txt:3: allow-list: remove the line, nothing needs it";
        check(list, &[], &[unused]);
    }

    #[test]
    fn an_entry_needs_its_reason() {
        let wrong = "xtask/tidy-allow.txt:1: allow-list: write `rule path number # reason`";
        for list in ["sleep a.rs 1", "sleep a.rs # why", "sleep a.rs 1 # "] {
            check(list, &[], &[wrong]);
        }
    }
}
