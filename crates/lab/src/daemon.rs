//! Real daemons in namespaces: started, watched, paused and killed.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::Namespace;

mod http;

/// How to run a daemon.
#[derive(Debug, Clone)]
pub struct DaemonOptions {
    /// The host it runs on.
    pub host: Namespace,
    /// The program; [`binary`] finds it.
    pub binary: PathBuf,
    /// The configuration. Its files are relative to the daemon's own directory, and a control
    /// socket in there is added unless it has a `[control]` table.
    pub config: String,
    /// Files beside the configuration, readable by us only: names and contents.
    pub files: Vec<(String, String)>,
    /// Further environment variables: `RUST_LOG`, say.
    pub environment: Vec<(String, String)>,
}

impl DaemonOptions {
    /// The program that [`binary`] finds, on `host`, with this configuration.
    pub fn new(host: &Namespace, config: &str) -> Result<Self> {
        Ok(Self {
            host: host.clone(),
            binary: binary()?,
            config: config.to_owned(),
            files: Vec::new(),
            environment: Vec::new(),
        })
    }

    /// With one more file: a key, say.
    pub fn file(mut self, name: &str, contents: &str) -> Self {
        self.files.push((name.to_owned(), contents.to_owned()));
        self
    }
}

/// The program under test: `$ROPEWALK_BIN`, or this very program, or the one that Cargo built
/// beside it.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ROPEWALK_BIN") {
        return Ok(path.into());
    }
    let itself = std::env::current_exe().context("find our own program")?;
    if itself.file_name().is_some_and(|name| name == "ropewalk") {
        return Ok(itself);
    }
    let beside = itself
        .ancestors()
        .skip(1)
        .take(3)
        .map(|folder| folder.join("ropewalk"));
    let found = beside.into_iter().find(|path| path.is_file());
    found.context("no program \"ropewalk\": run `cargo build -p ropewalk`, or set ROPEWALK_BIN")
}

/// A key pair as the program makes it, base64.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The private key: the contents of a key file.
    pub private: String,
    /// The public key, for the peers' configuration.
    pub public: String,
}

impl Keys {
    /// Runs `keygen` and `pubkey`.
    pub fn generate(binary: &Path) -> Result<Self> {
        let private = filter(binary, "keygen", "")?;
        let public = filter(binary, "pubkey", &private)?;
        Ok(Self {
            private: format!("{private}\n"),
            public,
        })
    }
}

/// Runs a subcommand with text on stdin, and returns its stdout without the newline.
fn filter(binary: &Path, subcommand: &str, input: &str) -> Result<String> {
    let mut child = Command::new(binary)
        .arg(subcommand)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", binary.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading gives its reason on stderr.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "ropewalk {subcommand}: {}: {error}",
        output.status
    );
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// A running daemon. Dropping it kills it; it dies with this process in any case.
#[derive(Debug)]
pub struct Daemon {
    options: DaemonOptions,
    directory: TempDir,
    child: Child,
    ended: Option<ExitStatus>,
}

impl Daemon {
    /// Writes the files and runs `ropewalk up -c FILE`. Does not wait for it to be ready.
    pub fn start(options: DaemonOptions) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("ropewalk-lab-").tempdir()?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700))?;
        let mut config = options.config.clone();
        if !config.contains("[control]") {
            let socket = directory.path().join("ropewalk.sock");
            config.push_str(&format!(
                "\n[control]\nsocket = {:?}\n",
                socket.display().to_string()
            ));
        }
        write_private(&directory.path().join("ropewalk.toml"), &config)?;
        for (name, contents) in &options.files {
            write_private(&directory.path().join(name), contents)?;
        }
        let child = launch(&options, directory.path())?;
        Ok(Self {
            options,
            directory,
            child,
            ended: None,
        })
    }

    /// Its own directory: configuration, keys, socket, log.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.directory().join("ropewalk.toml")
    }

    /// The control socket that was added for it.
    pub fn socket(&self) -> PathBuf {
        self.directory().join("ropewalk.sock")
    }

    /// The host it runs on.
    pub fn host(&self) -> &Namespace {
        &self.options.host
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written to stdout and stderr, of all its lives.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.directory().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        ensure!(
            self.ended()?.is_none(),
            "the daemon has ended: {:?}\n{}",
            self.ended,
            self.log()
        );
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        Ok(kill_process(
            pid.context("the daemon's process id")?,
            signal,
        )?)
    }

    /// Ends it as the power does: SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.ended = Some(self.child.wait()?);
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits; kills it and returns an error when it does not in time.
    pub fn stop(&mut self, timeout: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let start = Instant::now();
        while start.elapsed() < timeout {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill()?;
        bail!("the daemon did not end within {timeout:?}:\n{}", self.log())
    }

    /// Lets it stand still: SIGSTOP.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on: SIGCONT.
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sends SIGHUP.
    pub fn reload(&mut self) -> Result<()> {
        self.signal(Signal::HUP)
    }

    /// Starts it again after it has ended, with the same files.
    pub fn restart(&mut self) -> Result<()> {
        ensure!(self.ended()?.is_some(), "the daemon is still running");
        self.child = launch(&self.options, self.directory.path())?;
        self.ended = None;
        Ok(())
    }

    /// Asks the control socket: `/v1/status`.
    pub fn get(&self, path: &str) -> Result<Value> {
        http::request(&self.socket(), "GET", path)
    }

    /// Sends a command to the control socket: `/v1/peers/b/paths/line1/down`.
    pub fn post(&self, path: &str) -> Result<Value> {
        http::request(&self.socket(), "POST", path)
    }

    /// What `status --json` shows.
    pub fn status(&self) -> Result<Value> {
        self.get("/v1/status")
    }

    /// Waits until the status is as wanted, and returns it; the error shows the last one and the
    /// log.
    pub fn wait_status(
        &mut self,
        timeout: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let start = Instant::now();
        loop {
            let status = self.status();
            if let Ok(status) = &status
                && wanted(status)
            {
                return Ok(status.clone());
            }
            let over = start.elapsed() > timeout;
            if over || self.ended()?.is_some() {
                let what = if over {
                    "not as wanted in time"
                } else {
                    "ended"
                };
                bail!("the daemon {what}: {status:#?}\nlog:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a peer is up, and returns the status.
    pub fn wait_peer_up(&mut self, peer: &str, timeout: Duration) -> Result<Value> {
        self.wait_status(timeout, |status| {
            find_peer(status, peer).is_some_and(|peer| peer["state"] == "up")
        })
    }

    /// Runs a client command of the same program on this daemon: `["path", "down", "b", "line1"]`.
    pub fn client(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.options.binary);
        command.args(arguments).arg("-c").arg(self.config_file());
        self.options.host.output(command)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.ended(), Ok(None)) {
            // It may be paused: only this signal ends it in any case.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The peer of that name in a status.
pub fn find_peer<'a>(status: &'a Value, peer: &str) -> Option<&'a Value> {
    status["peers"]
        .as_array()?
        .iter()
        .find(|entry| entry["name"] == peer)
}

fn write_private(path: &Path, contents: &str) -> Result<()> {
    let mut options = File::options();
    let opened = options.write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.with_context(|| format!("write {}", path.display()))?;
    Ok(file.write_all(contents.as_bytes())?)
}

fn launch(options: &DaemonOptions, directory: &Path) -> Result<Child> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(directory.join("log"))?;
    let mut command = Command::new(&options.binary);
    command
        .arg("up")
        .arg("-c")
        .arg(directory.join("ropewalk.toml"))
        .current_dir(directory)
        .envs(options.environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    options.host.spawn_bound(command)
}

#[cfg(test)]
mod tests;
