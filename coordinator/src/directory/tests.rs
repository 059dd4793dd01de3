use tempfile::TempDir;

use super::*;
use crate::Access;
use crate::Lifetime;

async fn open(root: &TempDir) -> Result<Directory, CoordinatorError> {
    let timeouts = Timeouts { connect: Duration::from_secs(5), ..Timeouts::default() };
    Directory::open(root.path(), timeouts).await
}

fn path(text: &str) -> NodePath {
    NodePath::new(text).unwrap()
}

async fn create(directory: &dyn Coordinator, text: &str, lifetime: Lifetime) {
    directory.create(&path(text), "x", lifetime, Access::File).await.unwrap();
}

#[tokio::test]
async fn nodes_are_still_there_when_the_directory_is_opened_again() {
    let root = tempfile::tempdir().unwrap();
    let directory = open(&root).await.unwrap();
    create(&directory, "/kept", Lifetime::Persistent).await;
    create(&directory, "/gone", Lifetime::Session).await;
    directory.close().await.unwrap();
    drop(directory);
    // Half of a change that a crash has left behind.
    fs::write(root.path().join(TREE_NEW), "{\"format\":1,\"tr").unwrap();
    let directory = open(&root).await.unwrap();
    let names = directory.list(&NodePath::root()).await.unwrap();
    assert_eq!(names, Some(vec!["kept".to_owned()]));
}

/// Goal: nodes of a process that was killed go away. Method: a tree with a node of a session that
/// no process has.
#[tokio::test]
async fn nodes_of_a_dead_session_are_deleted_by_whoever_looks_next() {
    let root = tempfile::tempdir().unwrap();
    let node = path("/orphan");
    let mut tree = Tree::default();
    let change = Change::Create {
        path: node.clone(),
        data: vec![],
        lifetime: Lifetime::Session,
        access: Access::File,
    };
    tree.apply(&[change], 41).unwrap();
    let text = serde_json::to_vec(&TreeFile { format: FORMAT, tree: &tree }).unwrap();
    fs::write(root.path().join(TREE), text).unwrap();

    let directory = open(&root).await.unwrap();
    assert_eq!(directory.local.store().files.id, 42, "no number comes twice");
    while let (Some(read), watch) = directory.watch(&node).await.unwrap() {
        assert!(!read.stat.is_ours);
        timeout(Duration::from_secs(20), watch.changed()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_tree_that_cannot_be_read_is_reported_and_left_alone() {
    for wrong in ["", "{\"format\":1,\"tr", "{\"format\":2,\"tree\":{\"revision\":0,\"nodes\":{}}}"]
    {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(TREE), wrong).unwrap();
        let error = open(&root).await.unwrap_err();
        assert!(matches!(error, CoordinatorError::Unreachable { .. }), "{error}");
        assert_eq!(fs::read_to_string(root.path().join(TREE)).unwrap(), wrong);
    }
}

#[tokio::test]
async fn files_of_dead_sessions_do_not_pile_up() {
    let root = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        open(&root).await.unwrap().close().await.unwrap();
    }
    let files = fs::read_dir(root.path().join(SESSIONS)).unwrap().count();
    assert!(files <= 2, "{files}");
}

#[tokio::test]
async fn what_is_no_directory_is_reported() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Directory::open(file.path(), Timeouts::default()).await.unwrap_err();
    assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
}
