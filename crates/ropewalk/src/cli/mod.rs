//! The command line: what there is to say, and who does it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};

use crate::config::{self, ConfigErrors};
use crate::control::{Client, PathCommand};
use crate::logging;

mod check;
mod client;
mod key;
mod output;

/// Done.
const DONE: u8 = 0;
/// It did not work; an unknown peer or path too.
const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
const BAD_CONFIG: u8 = 2;

/// One encrypted Ethernet segment over all the lines between machines.
#[derive(Debug, Parser)]
#[command(name = "ropewalk", version = crate::VERSION, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
struct Global {
    /// Configuration file; the default is /etc/ropewalk/ropewalk.toml
    #[arg(short, long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Control socket of the daemon; the default is /run/ropewalk/ropewalk.sock
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    socket: Option<PathBuf>,
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Log less; twice for errors only
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "verbose")]
    quiet: u8,
}

impl Global {
    fn config_file(&self) -> &Path {
        self.config
            .as_deref()
            .unwrap_or(Path::new(config::DEFAULT_FILE))
    }

    fn verbosity(&self) -> i8 {
        let capped = |count: u8| i8::try_from(count).unwrap_or(i8::MAX);
        capped(self.verbose) - capped(self.quiet)
    }

    /// The daemon that is meant: by socket, by configuration, or the usual one.
    fn client(&self) -> Result<Client, ConfigErrors> {
        let socket = match (&self.socket, &self.config) {
            (Some(socket), _) => socket.clone(),
            (None, Some(file)) => config::control_socket(file)?,
            (None, None) => PathBuf::from(config::DEFAULT_SOCKET),
        };
        Ok(Client::new(&socket))
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run in the foreground
    Up,
    /// Validate the configuration and change nothing; exit 2 when it is wrong
    Check {
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a new private key
    Keygen,
    /// Print the public key of the private key on standard input
    Pubkey,
    /// Show peers, paths and ports
    Status {
        /// Show this peer only; exit 1 when it is down
        peer: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Show it again every second
        #[arg(short, long)]
        watch: bool,
    },
    /// Take a path to a peer out of use, or back into it
    Path {
        /// down: at once. drain: without losing anything. up: ends either
        action: PathAction,
        /// A peer's name
        peer: String,
        /// An uplink (all its paths), or one path as `status` shows it: line1/192.0.2.2:1830
        path: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the learned addresses
    Fdb {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the whole thing on this machine, in namespaces: breaks it, reports what users felt
    Demo {
        /// Two machines with two lines, or an office with several gateways
        scene: Scene,
        /// Leave it running until Ctrl-C, and say how to look around
        #[arg(long)]
        keep: bool,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder; it must exist
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PathAction {
    Down,
    Up,
    Drain,
}

impl From<PathAction> for PathCommand {
    fn from(action: PathAction) -> Self {
        match action {
            PathAction::Down => Self::Down,
            PathAction::Up => Self::Up,
            PathAction::Drain => Self::Drain,
        }
    }
}

/// What `demo` can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scene {
    /// Two machines, two lines.
    Pair,
    /// Sites with several gateways.
    Office,
}

/// Runs the program and gives its exit code: 0 done, 1 failed, 2 bad usage or configuration.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    logging::init(cli.global.verbosity());
    match dispatch(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) if output::is_broken_pipe(&error) => ExitCode::from(DONE),
        Err(error) => match error.downcast_ref::<ConfigErrors>() {
            Some(errors) => {
                output::problems(errors);
                ExitCode::from(BAD_CONFIG)
            }
            None => {
                output::complain(&format!("ropewalk: {error:#}"));
                ExitCode::from(FAILED)
            }
        },
    }
}

fn dispatch(cli: &Cli) -> anyhow::Result<u8> {
    let global = &cli.global;
    match &cli.command {
        Command::Up => {
            crate::daemon::run(global.config_file(), global.socket.as_deref())?;
            Ok(DONE)
        }
        Command::Check { json } => check::check(global.config_file(), *json),
        Command::Keygen => key::keygen(),
        Command::Pubkey => key::pubkey(),
        Command::Status {
            peer,
            json,
            watch: false,
        } => client::status(&global.client()?, peer.as_deref(), *json),
        Command::Status {
            peer,
            json,
            watch: true,
        } => client::watch(&global.client()?, peer.as_deref(), *json),
        Command::Path {
            action,
            peer,
            path,
            json,
        } => client::path(&global.client()?, (*action).into(), peer, path, *json),
        Command::Fdb { json } => client::fdb(&global.client()?, *json),
        Command::Demo {
            scene: Scene::Office,
            ..
        } => {
            anyhow::bail!("demo office is not in this version; try demo pair")
        }
        Command::Demo {
            scene: Scene::Pair,
            keep,
            json,
        } => {
            let options = crate::demo::Options {
                keep: *keep,
                json: *json,
            };
            Ok(if crate::demo::pair(options)? {
                DONE
            } else {
                FAILED
            })
        }
        Command::Completions { shell } => completions(*shell),
        Command::Man { folder } => {
            clap_mangen::generate_to(Cli::command(), folder)?;
            Ok(DONE)
        }
    }
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ropewalk", &mut script);
    output::print_bytes(&script)?;
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_interface_of_the_contract_parses() {
        let lines = [
            "up",
            "up -c x.toml",
            "check -c x.toml --json",
            "keygen",
            "pubkey",
            "status",
            "status b --json",
            "status --watch --socket /x",
            "path down b line1",
            "path up b line1/192.168.100.2:1830",
            "path drain b line1/[2001:db8::1]:1830",
            "fdb --json",
            "demo pair --keep",
            "demo pair --json",
            "demo office",
            "completions bash",
            "man /tmp",
            "-c x.toml --socket /x status",
        ];
        for line in lines {
            let words = std::iter::once("ropewalk").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
        for line in [
            "path sideways b line1",
            "status b c",
            "",
            "demo",
            "-q -v up",
        ] {
            let words = std::iter::once("ropewalk").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }
}
