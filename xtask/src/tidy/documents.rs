//! Rules about documents: what a user can set, call or read is described where users look.

use anyhow::Result;

use super::Finding;
use super::source::Kind;
use super::source::Source;
use super::source::Token;
use super::source::Tree;
use crate::gen_docs;

/// The structures that the admin API answers with, and the files they are in.
const ANSWERS: [(&str, &[&str]); 2] = [
    ("actors/src/stats.rs", &["Overview", "CommandCalls"]),
    ("actors/src/backend_conn/status.rs", &["BackendStatus"]),
];

const ADMIN_API: &str = "docs/admin-api.md";

pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let configuration = tree.text("docs/configuration.md")?;
    for source in tree.sources_in("config/src/settings.rs") {
        findings.extend(undescribed(source, &settings(source), configuration, "setting"));
    }
    let admin_api = tree.text(ADMIN_API)?;
    for source in tree.sources_in("web/src/") {
        findings.extend(undescribed(source, &routes(source), admin_api, "route"));
        findings.extend(undescribed(source, &codes(source), admin_api, "error code"));
    }
    for (path, names) in ANSWERS {
        for source in tree.sources_in(path) {
            let fields: Vec<_> = names.iter().flat_map(|name| fields(source, name)).collect();
            findings.extend(undescribed(source, &fields, admin_api, "field"));
        }
    }
    findings.extend(commands(tree.text("docs/commands.md")?)?);
    Ok(findings)
}

/// Something that a document must name in backticks.
type Named<'s> = (usize, &'s str);

fn undescribed(source: &Source, named: &[Named<'_>], document: &str, what: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if named.is_empty() && what != "error code" && what != "route" {
        // The rule has lost what it looks for, and would be content for ever.
        findings.push(finding(source, 1, format!("no {what} is found here any more")));
    }
    for (line, name) in named {
        if !document.contains(&format!("`{name}`")) {
            let text = format!("the {what} `{name}` is not in its document");
            findings.push(finding(source, *line, text));
        }
    }
    findings
}

fn finding(source: &Source, line: usize, what: String) -> Finding {
    Finding { path: source.path.clone(), line, rule: "documents", what, weight: 1 }
}

/// The settings of `settings! { name: Kind = default; }`.
fn settings(source: &Source) -> Vec<Named<'_>> {
    let table = block(source, &["settings", "!", "{"]);
    let entries = table.windows(4).filter_map(|entry| match entry {
        [name, colon, kind, is] if colon.is(":") && kind.word().is_some() && is.is("=") => {
            Some((name.line, name.word()?))
        }
        _ => None,
    });
    entries.collect()
}

/// The paths of `.route("/path", ...)`.
fn routes(source: &Source) -> Vec<Named<'_>> {
    let calls = source.find(&[".", "route", "("]).filter(|call| !is_test(call));
    calls.filter_map(|call| call.get(3)).filter_map(literal).collect()
}

/// The codes of `code: "code"`.
fn codes(source: &Source) -> Vec<Named<'_>> {
    let fields = source.find(&["code", ":"]).filter(|field| !is_test(field));
    fields.filter_map(|field| field.get(2)).filter_map(literal).collect()
}

fn is_test(tokens: &[Token]) -> bool {
    tokens.first().is_some_and(|token| token.is_test)
}

fn literal(token: &Token) -> Option<Named<'_>> {
    token.text().map(|text| (token.line, text))
}

/// The public fields of a structure that its JSON has: those behind `#[serde(skip)]` it has not.
fn fields<'s>(source: &'s Source, name: &str) -> Vec<Named<'s>> {
    let body = block(source, &["struct", name, "{"]);
    let entries = body.windows(6).filter_map(|entry| match entry {
        [skip, _, _, public, _, _] if skip.is("skip") && public.is("pub") => None,
        [_, _, _, public, name, colon] if public.is("pub") && colon.is(":") => {
            Some((name.line, name.word()?))
        }
        _ => None,
    });
    entries.collect()
}

/// The tokens from where a pattern begins, which ends with a brace, to the brace's other half.
fn block<'s>(source: &'s Source, pattern: &[&str]) -> &'s [Token] {
    let tokens = source.find(pattern).next().unwrap_or_default();
    let mut depth = 0;
    let is_end = |token: &Token| {
        match token.kind {
            Kind::Mark('{') => depth += 1,
            Kind::Mark('}') => depth -= 1,
            _ => return false,
        }
        depth == 0
    };
    let end = tokens.iter().position(is_end).unwrap_or(0);
    tokens.get(..end).unwrap_or_default()
}

/// The commands' document is the one that `gen-docs` would write.
fn commands(document: &str) -> Result<Option<Finding>> {
    let is_old = document != gen_docs::expected()?;
    Ok(is_old.then(|| Finding {
        path: "docs/commands.md".to_owned(),
        line: 1,
        rule: "documents",
        what: "run `cargo xtask gen-docs`".to_owned(),
        weight: 1,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(named: &[Named<'_>]) -> Vec<String> {
        named.iter().map(|(_, name)| (*name).to_owned()).collect()
    }

    #[test]
    fn settings_routes_codes_and_fields_are_seen() {
        let source = Source::parse(
            "a.rs",
            "settings! { [\"A\", Full] /// Doc.\n workers: Count = 0; log_file: FilePath = None; }
            fn f() { App::new().route(\"/stats\", web::get()); }
            const E: Body = Body { code: \"no_answer\", message: \"a\" };
            pub struct Overview { pub clients: usize, pub(crate) hidden: u8, pub uptime: u64 }
            pub struct Other { pub field: u8 }",
        )
        .unwrap();
        assert_eq!(names(&settings(&source)), ["workers", "log_file"]);
        assert_eq!(names(&routes(&source)), ["/stats"]);
        assert_eq!(names(&codes(&source)), ["no_answer"]);
        assert_eq!(names(&fields(&source, "Overview")), ["clients", "uptime"]);
    }

    #[test]
    fn what_its_document_does_not_name_is_found() {
        let source = Source::parse("a.rs", "").unwrap();
        let findings = undescribed(&source, &[(1, "a"), (2, "b")], "| `a` | is |", "field");
        assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [2]);
        assert_eq!(undescribed(&source, &[], "", "setting").len(), 1);
    }

    #[test]
    fn an_old_document_of_the_commands_is_found() {
        assert!(commands("# Commands\n").unwrap().is_some());
        assert!(commands(&gen_docs::expected().unwrap()).unwrap().is_none());
    }
}
