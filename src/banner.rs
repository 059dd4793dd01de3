//! What a person sees when a proxy starts: where to connect, and what stands behind it.
//!
//! Only beside a log for people; a JSON log has none.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;

use routing::SlotTable;

use crate::proxy::Found;

/// Prints the banner to standard output.
pub(crate) fn print(
    listen: SocketAddr,
    admin: SocketAddr,
    workers: usize,
    table: &SlotTable,
    found: &[Found],
    is_kept: bool,
) {
    let text = compose(listen, admin, workers, table, found, is_kept);
    // Nobody may be there to read it; the log says the same.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn compose(
    listen: SocketAddr,
    admin: SocketAddr,
    workers: usize,
    table: &SlotTable,
    found: &[Found],
    is_kept: bool,
) -> String {
    let mut text = String::new();
    let threads = if workers == 1 { "worker" } else { "workers" };
    let _ = writeln!(text, "\n  keyway {}  ·  {workers} {threads}\n", env!("CARGO_PKG_VERSION"));
    let _ =
        writeln!(text, "  clients  {listen}    redis-cli -h {} -p {}", listen.ip(), listen.port());
    let _ = writeln!(text, "  admin    http://{admin}/\n");
    for (addr, report) in found {
        let slots = table.assignments().filter(|(_, a)| a.primary.as_ref() == Some(addr)).count();
        let what = match report {
            Ok(report) => {
                let replicas = match report.replicas {
                    0 => String::new(),
                    1 => ", 1 replica".to_owned(),
                    count => format!(", {count} replicas"),
                };
                let role = if report.role == "slave" { "replica (!)" } else { "primary" };
                format!("{} {}, {role}{replicas}", report.server, report.version)
            }
            Err(error) => format!("does not answer: {error}"),
        };
        let _ = writeln!(text, "  backend  {addr}  {slots:>4} slots  {what}");
    }
    if is_kept {
        let _ = writeln!(text, "  slots    as they were kept in `state_dir`");
    }
    let offline = table.assignments().filter(|(_, assignment)| assignment.is_offline()).count();
    if offline > 0 {
        let _ = writeln!(text, "  offline  {offline} slots have no backend: requests to them fail");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use actors::probe::ProbeReport;
    use routing::BackendAddr;

    #[test]
    fn the_banner_says_where_to_connect_and_what_was_found() {
        let addrs: Vec<BackendAddr> = vec!["h:1".parse().unwrap(), "h:2".parse().unwrap()];
        let table = SlotTable::spread(&addrs).unwrap();
        let report = ProbeReport {
            server: "redis".to_owned(),
            version: "7.0.15".to_owned(),
            role: "master".to_owned(),
            replicas: 1,
            ..ProbeReport::default()
        };
        let found =
            vec![(addrs[0].clone(), Ok(report)), (addrs[1].clone(), Err("refused".to_owned()))];
        let listen = "127.0.0.1:19000".parse().unwrap();
        let admin = "127.0.0.1:11080".parse().unwrap();
        let text = compose(listen, admin, 2, &table, &found, false);
        assert!(text.contains("redis-cli -h 127.0.0.1 -p 19000"));
        assert!(text.contains("admin    http://127.0.0.1:11080/"));
        assert!(text.contains("backend  h:1   512 slots  redis 7.0.15, primary, 1 replica\n"));
        assert!(text.contains("backend  h:2   512 slots  does not answer: refused\n"));
        assert!(!text.contains("offline"));
    }
}
