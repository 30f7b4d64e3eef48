//! A real browser: Debian's Chromium without a window, driven as WebDriver says.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::watcher::Watcher;
use crate::{KeepAlive, Request};

/// How long anything may take to appear.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a browser shows pages.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Width of the window, CSS pixels.
    pub width: u32,
    /// Whether the user likes dark pages.
    pub is_dark: bool,
    /// Whether scripts of pages run.
    pub has_script: bool,
}

impl Look {
    /// A light window on a desk.
    pub const DESK: Self = Self { width: 1280, is_dark: false, has_script: true };

    /// A phone.
    pub const PHONE: Self = Self { width: 360, ..Self::DESK };
}

/// A browser with a profile of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    runtime: Runtime,
    client: Client,
    driver: Driver,
    session: String,
}

/// `chromedriver`, in a process group of its own.
#[derive(Debug)]
struct Driver {
    child: Child,
    addr: SocketAddr,
    /// Ends it when this process is killed, and drops nothing.
    _watcher: Watcher,
}

impl Driver {
    fn start() -> Self {
        let mut watcher = Watcher::spawn(Signal::SIGKILL).expect("a shell");
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("chromedriver is installed: `make test-web`");
        watcher.watch(Pid::from_raw(child.id().cast_signed())).expect("a watcher");
        let said = BufReader::new(child.stdout.take().expect("a pipe"));
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("was started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        let port: u16 = port.expect("chromedriver says its port");
        Self { child, addr: (Ipv4Addr::LOCALHOST, port).into(), _watcher: watcher }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = killpg(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It would outlive its driver.
        let _ = self.runtime.block_on(self.client.clone().close());
    }
}

impl Browser {
    /// Starts one.
    ///
    /// # Panics
    /// There is no chromedriver or no Chromium, or it does not start.
    pub fn start(look: Look) -> Self {
        let driver = Driver::start();
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
        ];
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": arguments},
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("an object") };
        let url = format!("http://{}", driver.addr);
        let connected = runtime.block_on(async {
            ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&url).await
        });
        let client = connected.expect("Chromium starts");
        let session = runtime.block_on(client.session_id()).expect("an answer").expect("a session");
        let browser = Self { runtime, client, driver, session };
        browser.look(look);
        browser
    }

    /// Shows pages in another way from now on.
    ///
    /// # Panics
    /// The browser does not answer.
    pub fn look(&self, Look { width, is_dark, has_script }: Look) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500});
        self.protocol("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if is_dark { "dark" } else { "light" };
        // What moves may be elsewhere when it is clicked on.
        let features = [("prefers-color-scheme", scheme), ("prefers-reduced-motion", "reduce")];
        let features = features.map(|(name, value)| json!({"name": name, "value": value}));
        self.protocol("Emulation.setEmulatedMedia", &json!({"features": features}));
        self.protocol("Emulation.setScriptExecutionDisabled", &json!({"value": !has_script}));
    }

    /// A command of the DevTools protocol, for what WebDriver has no word for.
    fn protocol(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({"cmd": command, "params": parameters}).to_string();
        let target = format!("/session/{}/goog/cdp/execute", self.session);
        let request =
            Request::new("POST", &target).host("localhost").header("Content-Type", "application/json");
        // It does not close connections that it is told to close.
        let answer = KeepAlive::new(self.driver.addr).send(&request.body(&body));
        let answer = answer.unwrap_or_else(|error| panic!("{command}: {error}"));
        assert_eq!(answer.status, 200, "{command}: {answer:?}");
        answer.json()["value"].clone()
    }

    fn done<T>(&self, work: impl Future<Output = Result<T, CmdError>>, what: &str) -> T {
        let done = self.runtime.block_on(work);
        done.unwrap_or_else(|error| panic!("{what}: {error}\n{}", self.text()))
    }

    /// Runs a script in each page from now on, before those of the page.
    ///
    /// # Panics
    /// The browser does not answer.
    pub fn run_first(&self, script: &str) {
        self.protocol("Page.addScriptToEvaluateOnNewDocument", &json!({"source": script}));
    }

    /// Goes to a page, and waits until it is there.
    ///
    /// # Panics
    /// It is not.
    pub fn open(&self, url: &str) {
        self.done(self.client.goto(url), url);
    }

    /// Where it is.
    ///
    /// # Panics
    /// The browser does not answer.
    pub fn url(&self) -> String {
        self.done(self.client.current_url(), "the address").to_string()
    }

    /// What is to be seen on the page.
    ///
    /// # Panics
    /// The browser does not answer.
    pub fn text(&self) -> String {
        let body =
            self.runtime.block_on(async { self.client.find(Locator::Css("body")).await?.text().await });
        body.unwrap_or_else(|error| format!("(no page: {error})"))
    }

    fn find(&self, css: &str) -> Element {
        let found = async { self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await };
        self.done(found, css)
    }

    /// Waits until there is something that a CSS selector means, seen or not.
    ///
    /// # Panics
    /// There is none.
    pub fn has(&self, css: &str) {
        self.find(css);
    }

    /// How many there are of what a CSS selector means.
    ///
    /// # Panics
    /// The browser does not answer.
    pub fn count(&self, css: &str) -> usize {
        self.done(self.client.find_all(Locator::Css(css)), css).len()
    }

    /// The text of the first that a CSS selector means, as it is seen.
    ///
    /// # Panics
    /// There is none.
    pub fn text_of(&self, css: &str) -> String {
        loop {
            let element = self.find(css);
            match self.runtime.block_on(element.text()) {
                // That of the page before, which goes away just now.
                Err(error) if error.is_stale_element_reference() => {}
                told => break self.done(async { told }, css),
            }
        }
    }

    /// Types into a field, in place of what it has.
    ///
    /// # Panics
    /// There is none.
    pub fn fill(&self, css: &str, text: &str) {
        let element = self.find(css);
        self.done(
            async {
                element.clear().await?;
                element.send_keys(text).await
            },
            css,
        );
    }

    /// Chooses of a list by its value.
    ///
    /// # Panics
    /// There is no such list or value.
    pub fn choose(&self, css: &str, value: &str) {
        let element = self.find(css);
        self.done(async { element.select_by_value(value).await }, css);
    }

    /// Presses keys where the focus is.
    ///
    /// # Panics
    /// The browser does not answer.
    pub fn press(&self, keys: &str) {
        self.done(async { self.client.active_element().await?.send_keys(keys).await }, "keys");
    }

    /// Clicks on the first that a CSS selector means; where that leads to another page, waits until it is there.
    ///
    /// # Panics
    /// There is none.
    pub fn click(&self, css: &str) {
        let element = self.find(css);
        let middle = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})";
        let arguments = vec![serde_json::to_value(&element).expect("its name")];
        self.done(
            async {
                // At the edge of the window something else may lie over it.
                self.client.execute(middle, arguments).await?;
                element.click().await
            },
            css,
        );
    }

    /// Runs a script in the page, and gives what it returns.
    ///
    /// # Panics
    /// It fails.
    pub fn run(&self, script: &str) -> Value {
        self.done(self.client.execute(script, Vec::new()), "a script")
    }

    /// Runs a script that calls its argument when it is done, with what is to be given.
    ///
    /// # Panics
    /// It fails, or takes too long.
    pub fn run_async(&self, script: &str) -> Value {
        self.done(self.client.execute_async(script, Vec::new()), "a script")
    }

    /// A picture of the whole page, as PNG.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn shoot(&self, path: &Path) {
        let height = self.run("return document.documentElement.scrollHeight").as_u64().unwrap_or(900);
        let width = self.run("return window.innerWidth").as_u64().unwrap_or(1280);
        let size =
            json!({"width": width, "height": height.min(2400), "deviceScaleFactor": 1, "mobile": false});
        self.protocol("Emulation.setDeviceMetricsOverride", &size);
        let picture = self.done(self.client.screenshot(), "a picture");
        std::fs::write(path, picture).expect("a file of ours");
    }
}
