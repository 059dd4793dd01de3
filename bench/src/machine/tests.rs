//! Tests of what is read from `/proc/cpuinfo`.

use super::*;

#[test]
fn the_model_is_found_where_there_is_one() {
    let text = "processor\t: 0\nmodel\t\t: 1\nmodel name\t: A CPU: fast\n\nprocessor\t: 1\n";
    assert_eq!(parse_cpu_model(text), Some("A CPU: fast"));
    assert_eq!(parse_cpu_model("processor\t: 0\n"), None);
}

#[test]
fn this_machine_can_be_described() {
    let machine = Machine::look().unwrap();
    assert!(machine.cores > 0);
    assert!(!machine.kernel.is_empty());
    assert_eq!(machine.date.len(), "2000-01-01".len());
}
