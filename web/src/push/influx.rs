//! The figures as a line of the line protocol, written to an InfluxDB (API of version 1).
//!
//! ```text
//! codis_usage,admin_addr=A,hostname=H,... ops_total=197i,...,rusage_cpu=0.25,... 1795160000000000000
//! measurement tags                        fields                                 nanoseconds
//! ```
//!
//! Every field but `rusage_cpu` is an integer. Codis writes `runtime_gc_total_pausems` as a text, by
//! mistake. A database that Codis has filled therefore refuses the line, and says so: proxies of
//! both kinds need a database each.

use std::fmt::Write as _;
use std::time::Duration;

use actix_web::http::Method;
use config::{Config, Secret};
use time::OffsetDateTime;

use super::figures::{Figure, figures};
use crate::http::{HttpAnswer, HttpClient, excerpt, exchange};
use crate::model::Model;
use crate::stats::Stats;

const MEASUREMENT: &str = "codis_usage";

/// See the module.
pub(super) struct Influx {
    http: HttpClient,
    url: String,
    user: String,
    password: Secret,
}

impl Influx {
    pub(super) fn new(http: HttpClient, config: &Config) -> Self {
        Self {
            http,
            url: write_url(
                &config.metrics_report_influxdb_server,
                &config.metrics_report_influxdb_database,
            ),
            user: config.metrics_report_influxdb_username.clone(),
            password: config.metrics_report_influxdb_password.clone(),
        }
    }

    pub(super) async fn send(&self, line: String, limit: Duration) -> Result<(), String> {
        let mut request = self.http.request(Method::POST, &self.url);
        if !self.user.is_empty() {
            request = request.basic_auth(&self.user, self.password.expose());
        }
        let answer = exchange(request, line.into_bytes(), limit).await?;
        judge(&answer)
    }
}

/// Where a database takes lines.
fn write_url(server: &str, database: &str) -> String {
    let server = server.trim_end_matches('/');
    let mut url = format!("{server}/write?consistency=&db=");
    for byte in database.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url.push_str("&precision=ns&rp=");
    url
}

/// A database answers 204; 200 may come from what stands in front of it.
fn judge(answer: &HttpAnswer) -> Result<(), String> {
    if matches!(answer.status, 200 | 204) {
        return Ok(());
    }
    let cause = String::from_utf8_lossy(&answer.body);
    Err(format!("status {}: {}", answer.status, excerpt(&cause)))
}

/// The line of one report.
pub(super) fn line(model: &Model, stats: &Stats, at: OffsetDateTime) -> String {
    let mut line = MEASUREMENT.to_owned();
    // Sorted by name, as databases like it best.
    for (name, value) in [
        ("admin_addr", &model.admin_addr),
        ("hostname", &model.hostname),
        ("product_name", &model.product_name),
        ("proxy_addr", &model.proxy_addr),
        ("token", &model.token),
    ] {
        // A tag without a value makes the whole line invalid.
        if !value.is_empty() {
            line.push_str(&format!(",{name}={}", escaped(value)));
        }
    }
    let mut separator = ' ';
    for (name, figure) in figures(stats) {
        let mark = match figure {
            Figure::Whole(_) => "i",
            Figure::Ratio(_) => "",
        };
        line.push_str(&format!("{separator}{name}={figure}{mark}"));
        separator = ',';
    }
    line.push_str(&format!(" {}\n", at.unix_timestamp_nanos()));
    line
}

/// The value of a tag, with the characters that would end it marked.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            ',' | '=' | ' ' => escaped.extend(['\\', c]),
            c if c.is_control() || c == '\\' => escaped.push('_'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::figures::samples;
    use super::*;

    #[test]
    fn a_line_has_the_tags_and_fields_of_codis() {
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_795_159_446_878_625_546).unwrap();
        let expected = concat!(
            "codis_usage,admin_addr=127.0.0.1:21081,hostname=vm,product_name=lab,",
            "proxy_addr=127.0.0.1:29000,token=65d26f90a00076a88f002a630a459483 ",
            "ops_total=197i,ops_fails=1i,ops_redis_errors=71i,ops_qps=5i,",
            "sessions_total=204i,sessions_alive=3i,rusage_mem=34127872i,rusage_cpu=0.25,",
            "runtime_gc_num=0i,runtime_gc_total_pausems=0i,runtime_num_procs=2i,",
            "runtime_num_goroutines=9i,runtime_num_cgo_call=0i,runtime_num_mem_offheap=77i ",
            "1795159446878625546\n",
        );
        assert_eq!(line(&samples::model(), &samples::stats(), at), expected);
    }

    #[test]
    fn no_tag_can_break_the_line() {
        let model = Model {
            hostname: "a b,c=d\ne\\".to_owned(),
            product_name: String::new(),
            ..samples::model()
        };
        let line = line(&model, &samples::stats(), OffsetDateTime::UNIX_EPOCH);
        assert!(line.contains(r",hostname=a\ b\,c\=d_e_,proxy_addr="), "{line}");
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn the_database_is_named_in_the_url() {
        let expected = "http://h:8086/write?consistency=&db=codis&precision=ns&rp=";
        assert_eq!(write_url("http://h:8086", "codis"), expected);
        assert_eq!(write_url("http://h:8086/", "codis"), expected);
        let expected = "http://h/write?consistency=&db=a%26b%20%C3%A4&precision=ns&rp=";
        assert_eq!(write_url("http://h", "a&b ä"), expected);
    }

    #[test]
    fn the_words_of_the_database_are_told() {
        let answer = |status, body: &str| HttpAnswer { status, body: body.to_owned().into() };
        assert_eq!(judge(&answer(204, "")), Ok(()));
        let body = "{\"error\":\"database not found: \\\"codis\\\"\"}\n";
        let expected = "status 404: {\"error\":\"database not found: \\\"codis\\\"\"}";
        assert_eq!(judge(&answer(404, body)), Err(expected.to_owned()));
    }
}
