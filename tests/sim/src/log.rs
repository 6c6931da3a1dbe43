//! Looks at what the nodes log: an error is a failure of the run.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

/// Errors logged so far, first ones in full.
#[derive(Clone, Debug, Default)]
pub struct ErrorLog(Arc<Mutex<Vec<String>>>);

/// Errors kept; more say nothing new.
const KEPT: usize = 8;

impl ErrorLog {
    /// Runs `body` with this log listening on the calling thread; `verbose` prints everything else too.
    pub fn listen<T>(&self, verbose: bool, body: impl FnOnce() -> T) -> T {
        let layer = Listener {
            errors: self.clone(),
            verbose,
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), body)
    }

    /// What was logged as an error.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

struct Listener {
    errors: ErrorLog,
    verbose: bool,
}

struct Text(String);

impl tracing::field::Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level != Level::ERROR && !self.verbose {
            return;
        }
        let mut text = Text(format!("{level} {}", event.metadata().target()));
        event.record(&mut text);
        if self.verbose {
            eprintln!("          {}", text.0);
        }
        if level == Level::ERROR {
            let mut errors = self.errors.0.lock().unwrap_or_else(PoisonError::into_inner);
            if errors.len() < KEPT {
                errors.push(text.0);
            }
        }
    }
}
