use super::*;

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("keyway-{}-{name}.pid", std::process::id()))
}

#[test]
fn the_file_holds_the_id_without_a_newline_while_the_value_lives() {
    let path = path("own");
    std::fs::write(&path, "left behind by another\n").unwrap();
    let file = PidFile::create(&path).unwrap();
    let content = std::fs::read_to_string(&path).unwrap();
    assert_eq!(content, std::process::id().to_string());
    drop(file);
    assert!(!path.exists());
}

#[test]
fn the_file_of_another_process_is_left_alone() {
    let path = path("other");
    let file = PidFile::create(&path).unwrap();
    std::fs::write(&path, "1").unwrap();
    drop(file);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "1");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let error = PidFile::create(Path::new("/no/such/folder/pid")).expect_err("no such folder");
    assert_eq!(error.to_string(), "write pidfile `/no/such/folder/pid`");
}
