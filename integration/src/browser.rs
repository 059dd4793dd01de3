//! A headless Chromium, driven through `chromedriver` by the WebDriver protocol.
//!
//! It has an empty profile of its own and shows one page. Everything that is asked of it is a
//! script that runs in the page. The driver ends the browser with its session, which the fixture
//! closes when it is dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::admin::AdminClient;
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::{DEADLINE, wait_until};

/// What the browser is started with: nothing that asks another host or the screen.
const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,1000",
];

/// A browser with one page.
#[derive(Debug)]
pub struct Browser {
    driver: AdminClient,
    session: String,
    // Ended in this order: the driver, then its folder.
    _process: Process,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Panics
    /// When `chromium` or `chromedriver` is missing or does not start.
    #[must_use]
    pub fn start() -> Self {
        let profile = TempDir::new().unwrap_or_else(|error| panic!("make a folder: {error}"));
        let port = free_port();
        let mut command = Command::new("chromedriver");
        // Chromium puts its sockets and caches there too.
        command
            .arg(format!("--port={port}"))
            .env("TMPDIR", profile.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = Process::spawn("chromedriver", &mut command).unwrap_or_else(|error| {
            panic!("start chromedriver: {error}; get it with: sudo apt-get install chromium-driver")
        });
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        wait_until("chromedriver listens", DEADLINE, || {
            assert_eq!(process.exit_status(), None, "chromedriver ended at once");
            std::net::TcpStream::connect(addr).map(drop).map_err(|error| error.to_string())
        });
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={}", profile.path().join("profile").display()));
        let options = json!({ "args": arguments });
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let mut driver = AdminClient::anonymous(addr);
        let started = ask(&mut driver, "POST", "/session", &wanted);
        let session = started.get("sessionId").and_then(Value::as_str);
        let session = session.unwrap_or_else(|| panic!("no session: {started}")).to_owned();
        Self { driver, session, _process: process, _profile: profile }
    }

    /// Opens a page.
    ///
    /// # Panics
    /// When the browser cannot.
    pub fn open(&mut self, url: &str) {
        self.command("/url", &json!({ "url": url }));
    }

    /// Runs a script in the page and returns what it returns.
    ///
    /// # Panics
    /// When the script fails.
    pub fn run(&mut self, script: &str) -> Value {
        self.command("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Waits until a script of the page returns true.
    ///
    /// # Panics
    /// When it does not at the deadline; the text holds what the page shows by then.
    pub fn wait_for(&mut self, what: &str, script: &str) {
        wait_until(what, DEADLINE, || match self.run(script) {
            Value::Bool(true) => Ok(()),
            other => Err((other, self.run("return document.body.innerText"))),
        });
    }

    /// Shows the page in the dark or the light theme.
    ///
    /// # Panics
    /// When the browser cannot.
    pub fn set_theme(&mut self, theme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": theme});
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    /// Shows the page on a screen of this width in pixels.
    ///
    /// # Panics
    /// When the browser cannot.
    pub fn set_width(&mut self, width: u32) {
        let screen =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &screen);
    }

    /// Writes a picture of the whole page as PNG and returns its path.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn screenshot(&mut self, folder: &Path, name: &str) -> PathBuf {
        let picture =
            self.devtools("Page.captureScreenshot", &json!({"captureBeyondViewport": true}));
        let data = picture.get("data").and_then(Value::as_str).unwrap_or_default();
        let path = folder.join(name);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, decode_base64(data)))
            .unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
        path
    }

    fn devtools(&mut self, command: &str, parameters: &Value) -> Value {
        self.command("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    fn command(&mut self, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        ask(&mut self.driver, "POST", &path, body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser, which is no child of ours.
        let path = format!("/session/{}", self.session);
        self.driver.begin("DELETE", &path, &[], b"");
        let _ = self.driver.finish(false);
    }
}

fn ask(driver: &mut AdminClient, method: &str, path: &str, body: &Value) -> Value {
    let headers = ["Content-Type: application/json"];
    let reply = driver.request(method, path, &headers, body.to_string().as_bytes());
    assert_eq!(reply.status, 200, "{method} {path}: {}", reply.text());
    reply.json().get("value").cloned().unwrap_or_default()
}

fn decode_base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for digit in text.bytes().filter_map(base64_value) {
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.extend((bits >> held).to_le_bytes().first());
            bits &= (1 << held) - 1;
        }
    }
    bytes
}

fn base64_value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
