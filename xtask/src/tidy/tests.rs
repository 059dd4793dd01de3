use super::*;

#[test]
fn the_repository_keeps_its_rules() {
    let findings = check(&root()).unwrap();
    let lines: Vec<_> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}
