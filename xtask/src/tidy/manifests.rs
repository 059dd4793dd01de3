//! Rules about the crates' `Cargo.toml`: who may import whom, common lints, one licence.

use anyhow::Context;
use anyhow::Result;
use toml::Table;
use toml::Value;

use super::Finding;
use super::source::Tree;

/// Who may import whom, as `ARCHITECTURE.md` says; tools (`bench`, `fuzz`, `xtask`) may import what
/// they want.
const DIRECTIONS: [(&str, &[&str]); 11] = [
    ("keyway", &["web", "mover", "actors", "coordinator", "command", "routing", "config"]),
    ("web", &["mover", "actors", "config", "routing"]),
    ("mover", &["resp", "routing", "config"]),
    ("actors", &["routing", "command", "resp", "coordinator", "config"]),
    ("command", &["resp", "routing"]),
    ("coordinator", &["routing"]),
    ("config", &[]),
    ("resp", &[]),
    ("routing", &[]),
    // A black-box test must not read replies with the code that it judges.
    ("integration", &["command", "routing"]),
    ("sim", &["actors", "command", "config", "routing"]),
];

/// Libraries, by the beginning of their name, that only these crates may import.
const RESERVED: [(&str, &[&str]); 5] = [
    ("actix-web", &["web"]),
    ("actix", &["keyway", "web", "actors", "mover", "sim"]),
    ("tokio", &["keyway", "web", "actors", "mover", "coordinator", "bench", "integration", "sim"]),
    // A test looks at the nodes with a session of its own, not through `coordinator`.
    ("zookeeper", &["coordinator", "integration"]),
    ("etcd", &["coordinator"]),
];

const LICENCE: &str = "MIT OR Apache-2.0";

/// A parsed manifest.
struct Manifest {
    path: String,
    name: String,
    table: Table,
}

pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts() {
        if path != "Cargo.toml" && !path.ends_with("/Cargo.toml") {
            continue;
        }
        let manifest = Manifest::parse(path, text)?;
        findings.extend(directions(&manifest));
        findings.extend(reserved(&manifest));
        findings.extend(lints(&manifest));
        findings.extend(licence(&manifest));
    }
    Ok(findings)
}

impl Manifest {
    fn parse(path: &str, text: &str) -> Result<Self> {
        let table: Table = text.parse().with_context(|| format!("read `{path}`"))?;
        let name = lookup(&table, &["package", "name"]).and_then(Value::as_str);
        Ok(Self {
            path: path.to_owned(),
            name: name.with_context(|| format!("find the name in `{path}`"))?.to_owned(),
            table,
        })
    }

    /// Every dependency, of the code, its tests and its build.
    fn dependencies(&self) -> impl Iterator<Item = &str> {
        let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
        let tables = kinds.into_iter().filter_map(|kind| self.table.get(kind)?.as_table());
        tables.flat_map(Table::keys).map(String::as_str)
    }

    fn finding(&self, rule: &'static str, what: String) -> Finding {
        Finding { path: self.path.clone(), line: 1, rule, what, weight: 1 }
    }

    /// Whether a field has this value, itself or through the workspace.
    fn inherits(&self, field: &str, value: &str) -> bool {
        let own = self.table.get("package").and_then(|package| package.get(field));
        own.is_some_and(|own| {
            own.as_str() == Some(value)
                || own.get("workspace").and_then(Value::as_bool) == Some(true)
        })
    }
}

fn lookup<'t>(table: &'t Table, path: &[&str]) -> Option<&'t Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, field| value.get(field))
}

fn directions(manifest: &Manifest) -> Vec<Finding> {
    let allowed = DIRECTIONS.iter().find(|(name, _)| *name == manifest.name);
    let Some((_, allowed)) = allowed else {
        return Vec::new();
    };
    let is_ours = |name: &&str| DIRECTIONS.iter().any(|(known, _)| known == name);
    let wrong = manifest.dependencies().filter(is_ours).filter(|name| !allowed.contains(name));
    let text = |name| format!("`{}` must not import `{name}`", manifest.name);
    wrong.map(|name| manifest.finding("direction", text(name))).collect()
}

fn reserved(manifest: &Manifest) -> Vec<Finding> {
    let is_wrong = |dependency: &&str| {
        let users = RESERVED.iter().find(|(prefix, _)| dependency.starts_with(prefix));
        users.is_some_and(|(_, users)| !users.contains(&manifest.name.as_str()))
    };
    let text = |name| format!("`{}` must not import `{name}`", manifest.name);
    let wrong = manifest.dependencies().filter(is_wrong);
    wrong.map(|name| manifest.finding("direction", text(name))).collect()
}

/// Crates of the workspace have its lints; a workspace of its own has none to inherit.
fn lints(manifest: &Manifest) -> Option<Finding> {
    let is_set = lookup(&manifest.table, &["lints", "workspace"]).and_then(Value::as_bool);
    let is_foreign = manifest.table.contains_key("workspace") && manifest.path != "Cargo.toml";
    let is_missing = is_set != Some(true) && !is_foreign;
    is_missing.then(|| manifest.finding("lints", "write `[lints] workspace = true`".to_owned()))
}

fn licence(manifest: &Manifest) -> Option<Finding> {
    let is_wrong = !manifest.inherits("license", LICENCE);
    let what = format!("write `license.workspace = true`, or `{LICENCE}`");
    is_wrong.then(|| manifest.finding("licence", what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str, rest: &str) -> Manifest {
        let text = format!("package.name = \"{name}\"\n{rest}");
        Manifest::parse(&format!("{name}/Cargo.toml"), &text).unwrap()
    }

    fn whats(findings: Vec<Finding>) -> Vec<String> {
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn an_import_against_the_direction_is_found() {
        let check = |name: &str, rest: &str, expected: &[&str]| {
            assert_eq!(whats(directions(&manifest(name, rest))), expected, "{rest}");
        };
        check("command", "[dependencies]\nresp.path = \"../resp\"", &[]);
        let wrong = "`resp` must not import `command`";
        check("resp", "[dependencies]\ncommand.workspace = true", &[wrong]);
        check("resp", "[dev-dependencies]\ncommand.workspace = true", &[wrong]);
        check("xtask", "[dependencies]\ncommand.workspace = true", &[]);
    }

    #[test]
    fn a_library_in_a_crate_that_must_not_know_it_is_found() {
        let check = |name: &str, library: &str, count: usize| {
            let rest = format!("[dependencies]\n{library}.workspace = true");
            assert_eq!(reserved(&manifest(name, &rest)).len(), count, "{name}: {library}");
        };
        check("web", "actix-web", 0);
        check("actors", "actix-web", 1);
        check("actors", "actix-rt", 0);
        check("routing", "tokio", 1);
        check("resp", "actix", 1);
    }

    #[test]
    fn missing_lints_are_found() {
        assert!(lints(&manifest("a", "")).is_some());
        assert!(lints(&manifest("a", "lints.workspace = true")).is_none());
        assert!(lints(&manifest("a", "[workspace]")).is_none());
    }

    #[test]
    fn another_licence_is_found() {
        assert!(licence(&manifest("a", "package.license = \"GPL-3.0\"")).is_some());
        assert!(licence(&manifest("a", "")).is_some());
        assert!(licence(&manifest("a", "package.license.workspace = true")).is_none());
        assert!(licence(&manifest("a", "package.license = \"MIT OR Apache-2.0\"")).is_none());
    }
}
