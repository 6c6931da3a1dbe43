//! The configuration file: TOML in, plain data or every error out.
//!
//! Every table is read key by key over the parser's span-keeping tree, so that one run reports
//! all that is wrong, each with file, line, column, key and remedy. What depends on the machine
//! of the moment (an absent device, a name that does not resolve) is for [`crate::machine`] and only
//! ever a warning.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

mod cross;
mod diagnostic;
mod endpoint;
mod keys;
mod node;
mod peer;
mod port;
mod section;
mod storm;
mod switch;
#[cfg(test)]
mod tests;
mod uplink;
mod value;
mod vlan;

pub use diagnostic::{ConfigErrors, Problem};
pub use endpoint::{Endpoint, Host};
pub use keys::{KEY_BYTES, PublicKey, SecretKey, decode as decode_key, derived_mac};
pub use node::{ControlConfig, NodeConfig};
pub use peer::{Mode, PeerConfig};
pub use port::{DEFAULT_MTU, PortConfig, PortVlan};
pub use storm::{StormLimit, StormLimits};
pub use switch::SwitchConfig;
pub use uplink::{DEFAULT_UPLINK, Role, UplinkConfig};
pub use value::{Budget, BudgetPeriod};
pub use vlan::{VLAN_MAX, VlanSet};

use diagnostic::{Diagnostics, Places, dotted};
use section::{Section, unknown_key};
use value::wrong_type;

/// Where the configuration is when nobody says otherwise.
pub const DEFAULT_FILE: &str = "/etc/ropewalk/ropewalk.toml";

/// Where the control socket is when nobody says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/ropewalk/ropewalk.sock";

/// The UDP port of ropewalk.
pub const DEFAULT_PORT: u16 = 1830;

/// No configuration comes near this many bytes.
const FILE_MAX: u64 = 1 << 20;

/// A configuration that was checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it came from.
    pub file: PathBuf,
    /// `[node]`.
    pub node: NodeConfig,
    /// `[control]`.
    pub control: ControlConfig,
    /// `[[uplink]]`; the one named [`DEFAULT_UPLINK`] when the file has none. Never empty.
    pub uplinks: Vec<UplinkConfig>,
    /// `[[peer]]`.
    pub peers: Vec<PeerConfig>,
    /// `[[port]]`.
    pub ports: Vec<PortConfig>,
    /// `[switch]`.
    pub switch: SwitchConfig,
    /// What works but deserves a look.
    pub warnings: Vec<Problem>,
    /// Where every value stands, for warnings that come up later.
    places: Places,
}

impl Config {
    /// Reads and checks a file, and the key files it names.
    pub fn load(file: &Path) -> Result<Self, ConfigErrors> {
        let source = read(file)?;
        let mut diagnostics = Diagnostics::new(file, &source);
        let (document, syntax) = DeTable::parse_recoverable(&source);
        for error in &syntax {
            let at = error.span().unwrap_or(0..0);
            diagnostics.error(&at, "", format!("{}; correct the TOML", error.message()));
        }
        // Behind a syntax error the tree has holes, and complaints about those would mislead;
        // a duplicate key leaves none.
        if !syntax
            .iter()
            .all(|error| error.message() == "duplicate key")
        {
            return Err(errors(diagnostics));
        }
        let mut config = tables(document.get_ref(), &mut diagnostics);
        cross::check(&config, &mut diagnostics);
        if diagnostics.has_errors() {
            return Err(errors(diagnostics));
        }
        config.places = diagnostics.places();
        config.warnings = diagnostics.into_problems().1;
        Ok(config)
    }

    /// A warning at a value that depends on the machine: `table` and its `index` from 0, `key` as
    /// in the file (`endpoints.2` for an element of a list).
    pub fn warning_at(
        &self,
        table: &'static str,
        index: usize,
        key: &str,
        message: String,
    ) -> Problem {
        let (line, column) = self.places.line_and_column(table, index, key);
        Problem {
            file: self.file.clone(),
            line,
            column,
            key: dotted(table, key),
            message,
        }
    }
}

/// The control socket that a file names, without needing its keys: for the client commands,
/// which may run as somebody who cannot read those.
pub fn control_socket(file: &Path) -> Result<PathBuf, ConfigErrors> {
    let source = read(file)?;
    let mut diagnostics = Diagnostics::new(file, &source);
    let (document, _) = DeTable::parse_recoverable(&source);
    let control = single(
        document.get_ref(),
        &mut diagnostics,
        "control",
        node::control,
    );
    match diagnostics.has_errors() {
        true => Err(errors(diagnostics)),
        false => Ok(control.unwrap_or_default().socket),
    }
}

fn errors(diagnostics: Diagnostics<'_>) -> ConfigErrors {
    let (errors, warnings) = diagnostics.into_problems();
    ConfigErrors { errors, warnings }
}

fn read(file: &Path) -> Result<String, ConfigErrors> {
    let mut source = String::new();
    let outcome = fs::File::open(file)
        .and_then(|opened| opened.take(FILE_MAX + 1).read_to_string(&mut source));
    let message = match outcome {
        Err(error) => format!("cannot be read ({error}); name the configuration with -c FILE"),
        Ok(length) if length as u64 > FILE_MAX => {
            format!("is larger than {FILE_MAX} bytes; name the configuration with -c FILE")
        }
        Ok(_) => return Ok(source),
    };
    let problem = Problem {
        file: file.to_owned(),
        line: 0,
        column: 0,
        key: String::new(),
        message,
    };
    Err(ConfigErrors {
        errors: vec![problem],
        warnings: Vec::new(),
    })
}

const TABLES: [&str; 6] = ["node", "control", "uplink", "peer", "port", "switch"];

fn tables(document: &DeTable<'_>, diagnostics: &mut Diagnostics<'_>) -> Config {
    for (key, _) in document {
        let name = key.get_ref().as_ref();
        if !TABLES.contains(&name) {
            let message = unknown_key(name, &TABLES).replace("key", "table");
            diagnostics.error(&key.span(), name, message.replace("of this table", "here"));
        }
    }
    let empty = DeTable::new();
    let node = single(document, diagnostics, "node", node::node).unwrap_or_else(|| {
        let mut section = Section::new(diagnostics, "node", 0, &empty, 0..0);
        node::node(&mut section, diagnostics)
    });
    let mut uplinks = many(document, diagnostics, "uplink", uplink::uplink);
    if uplinks.is_empty() {
        uplinks.push(UplinkConfig::default());
    }
    let mut ports = many(document, diagnostics, "port", port::port);
    for port in ports.iter_mut().filter(|port| !port.has_mac) {
        port.mac = derived_mac(&node.public_key, &port.name);
    }
    Config {
        file: diagnostics.file().to_owned(),
        node,
        control: single(document, diagnostics, "control", node::control).unwrap_or_default(),
        uplinks,
        peers: many(document, diagnostics, "peer", peer::peer),
        ports,
        switch: single(document, diagnostics, "switch", switch::switch).unwrap_or_default(),
        warnings: Vec::new(),
        places: Places::default(),
    }
}

/// Reads a table that stands once, `[name]`.
fn single<T>(
    document: &DeTable<'_>,
    diagnostics: &mut Diagnostics<'_>,
    name: &'static str,
    parse: impl FnOnce(&mut Section<'_>, &mut Diagnostics<'_>) -> T,
) -> Option<T> {
    let value = document.get(name)?;
    let DeValue::Table(table) = value.get_ref() else {
        let remedy = format!("write [{name}] on a line of its own, once");
        diagnostics.error(&value.span(), name, wrong_type(value.get_ref(), &remedy));
        return None;
    };
    let mut section = Section::new(diagnostics, name, 0, table, value.span());
    let parsed = parse(&mut section, diagnostics);
    section.finish(diagnostics);
    Some(parsed)
}

/// Reads tables that may repeat, `[[name]]`.
fn many<T>(
    document: &DeTable<'_>,
    diagnostics: &mut Diagnostics<'_>,
    name: &'static str,
    parse: impl Fn(&mut Section<'_>, &mut Diagnostics<'_>) -> T,
) -> Vec<T> {
    let remedy = format!("write [[{name}]] on a line of its own before each");
    let Some(value) = document.get(name) else {
        return Vec::new();
    };
    let DeValue::Array(array) = value.get_ref() else {
        diagnostics.error(&value.span(), name, wrong_type(value.get_ref(), &remedy));
        return Vec::new();
    };
    let mut parsed = Vec::with_capacity(array.len());
    for (index, value) in array.iter().enumerate() {
        match value.get_ref() {
            DeValue::Table(table) => {
                let mut section = Section::new(diagnostics, name, index, table, value.span());
                parsed.push(parse(&mut section, diagnostics));
                section.finish(diagnostics);
            }
            other => diagnostics.error(&value.span(), name, wrong_type(other, &remedy)),
        }
    }
    parsed
}
