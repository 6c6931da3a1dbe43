//! Real daemons in real namespaces: the standard topology of two nodes and several lines, what can
//! happen to it, and what its users feel then.

// Real networks run in real time.
#![allow(clippy::disallowed_methods)]

pub mod line;
pub mod pair;
pub mod program;
pub mod reading;
pub mod scenario;
pub mod station;
pub mod table;
pub mod turn;

pub use line::{Kind, Line, LineSpec};
pub use pair::{Pair, PairOptions};
pub use reading::{Goal, Reading, Row};
