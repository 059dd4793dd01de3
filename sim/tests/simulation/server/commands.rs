//! What a server answers, and the commands that are of the connection or of the server itself.

use std::rc::Rc;

use super::{Kind, Server};
use crate::wire::Reply;

impl Server {
    /// Executes a request; `None` when the reply comes later.
    pub(super) async fn execute(self: &Rc<Self>, conn: u64, request: &[String]) -> Option<Reply> {
        let database = self.state.borrow().conns.get(&conn).map_or(0, |conn| conn.database);
        let name = request[0].to_ascii_uppercase();
        let is_known = self.knows(&name);
        Some(match name.as_str() {
            "PING" => Reply::Status("PONG".to_owned()),
            "AUTH" | "CLIENT" | "READONLY" => Reply::ok(),
            "SELECT" => {
                if let Some(entry) = self.state.borrow_mut().conns.get_mut(&conn) {
                    entry.database = request[1].parse().unwrap();
                }
                Reply::ok()
            }
            "INFO" => Reply::bulk(&self.info()),
            "COMMAND" => Reply::Array(Some(request[2..].iter().map(|n| self.about(n)).collect())),
            "MIGRATE" => self.migrate(database, request).await,
            "SLOTSMGRTTAGONE" if is_known => self.migrate_tag(database, request).await,
            "SLOTSMGRT-EXEC-WRAPPER" if is_known => self.execute_here(database, request),
            "SLOTSMGRTTAGSLOT-ASYNC" if is_known => {
                self.migrate_slot(conn, database, request);
                return None;
            }
            _ => {
                let reply = self.state.borrow_mut().store.execute(database, request);
                reply.unwrap_or_else(|| Reply::error(&format!("ERR unknown command '{name}'")))
            }
        })
    }

    fn knows(&self, name: &str) -> bool {
        !name.starts_with("SLOTS") || self.kind == Kind::Codis
    }

    /// An entry of COMMAND INFO, of which only the name and whether there is one are looked at.
    fn about(&self, name: &str) -> Reply {
        if !self.knows(&name.to_ascii_uppercase()) {
            return Reply::Array(None);
        }
        let numbers = [-1, 0, 0, 0].map(Reply::Integer);
        let [arity, first, last, step] = numbers;
        let flags = Reply::Array(Some(Vec::new()));
        Reply::Array(Some(vec![
            Reply::bulk(&name.to_ascii_lowercase()),
            arity,
            flags,
            first,
            last,
            step,
        ]))
    }

    fn info(&self) -> String {
        let version = if self.kind == Kind::Codis { "3.2.11" } else { "7.0.15" };
        format!(
            "# Server\r\nredis_version:{version}\r\nrun_id:{:040}\r\n\
             # Replication\r\nrole:master\r\nconnected_slaves:0\r\n\
             # Persistence\r\nloading:0\r\n# Keyspace\r\n",
            self.index
        )
    }
}
