//! What must be true before anything is locked: of the servers, and of the proxies.

use std::rc::Rc;

use routing::BackendAddr;

use crate::error::MoverError;
use crate::options::MethodChoice;
use crate::server::{LoginOf, ServerConn, ServerError, info_field};

/// How the keys of a source are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Migrate,
    CodisSync,
    CodisAsync,
}

impl Method {
    /// How requests have their keys moved then, in the numbers of the slots' forms: the two ways
    /// must not meet at one key.
    pub(crate) fn forward_method(self) -> u8 {
        u8::from(self == Self::CodisAsync)
    }

    fn command(self) -> &'static str {
        match self {
            Self::Migrate => "migrate",
            Self::CodisSync => "slotsmgrttagslot",
            Self::CodisAsync => "slotsmgrttagslot-async",
        }
    }
}

/// Finds out how keys can be moved away from a server.
pub(crate) async fn method(
    conn: &mut ServerConn,
    choice: MethodChoice,
) -> Result<Method, ServerError> {
    let candidates: &[Method] = match choice {
        MethodChoice::Auto => &[Method::CodisAsync, Method::CodisSync, Method::Migrate],
        MethodChoice::Migrate => &[Method::Migrate],
        MethodChoice::CodisSync => &[Method::CodisSync],
        MethodChoice::CodisAsync => &[Method::CodisAsync],
    };
    let mut last = "";
    for candidate in candidates {
        last = candidate.command();
        let answer = conn.expect(&[b"COMMAND", b"INFO", last.as_bytes()]).await?;
        let is_known = answer.as_array().and_then(<[_]>::first).is_some_and(|one| !one.is_null());
        if is_known {
            return Ok(*candidate);
        }
    }
    let reply = "it does not know the command".to_owned();
    Err(ServerError::Refused { addr: conn.addr().clone(), command: last.to_owned(), reply })
}

/// Checks both servers of a move.
pub(crate) async fn check_servers(
    source: &BackendAddr,
    target: &BackendAddr,
    choice: MethodChoice,
    login_of: &LoginOf,
) -> Result<(), MoverError> {
    let unfit = |text: String| MoverError::Unfit { text };
    let broken = |error: ServerError| unfit(error.to_string());
    let connect = |addr: &BackendAddr| {
        let (addr, login_of) = (addr.clone(), Rc::clone(login_of));
        async move { ServerConn::connect(&addr, &login_of(&addr), None).await }
    };
    let mut source_conn = connect(source).await.map_err(broken)?;
    let mut target_conn = connect(target).await.map_err(broken)?;
    let source_info = source_conn.info("default").await.map_err(broken)?;
    let target_info = target_conn.info("default").await.map_err(broken)?;
    let field = |info, name| info_field(info, name).unwrap_or_default();
    let run_id = field(&target_info, "run_id");
    if !run_id.is_empty() && run_id == field(&source_info, "run_id") {
        return Err(unfit(format!("{source} and {target} are the same server")));
    }
    for (addr, info, what) in [(target, &target_info, "target"), (source, &source_info, "source")] {
        if field(info, "role") == "slave" {
            let (host, port) = (field(info, "master_host"), field(info, "master_port"));
            return Err(unfit(format!(
                "the {what} {addr} is a replica of {host}:{port}: name the primary"
            )));
        }
        if field(info, "cluster_enabled") == "1" {
            return Err(unfit(format!(
                "the {what} {addr} is a node of a Redis Cluster, which has slots of its own"
            )));
        }
        if field(info, "loading") == "1" {
            return Err(unfit(format!("the {what} {addr} loads its data: try again later")));
        }
    }
    let is_codis = method(&mut source_conn, choice).await.map_err(broken)? != Method::Migrate;
    if is_codis {
        // Both ends of their protocol are needed.
        method(&mut target_conn, choice).await.map_err(broken)?;
    }
    Ok(())
}
