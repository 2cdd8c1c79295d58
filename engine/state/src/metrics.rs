//! Metrics of an execution: a file of JSON lines, each a [`weft_model::Metric`].

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use weft_model::Metric;

use crate::{Result, StateError, disk};

/// The metrics of one execution.
#[derive(Debug, Clone)]
pub struct MetricsFile {
    path: PathBuf,
    /// Whether the file ends in a complete line, as far as this process knows.
    whole: Arc<AtomicBool>,
}

impl MetricsFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, whole: Arc::default() }
    }

    /// Appends `metrics`, as one write: those of concurrent task runs do not mix. What a full disk or a crash has left of a
    /// line stays one of its own.
    pub fn append(&self, metrics: &[Metric]) -> Result<()> {
        if metrics.is_empty() {
            return Ok(());
        }
        let failed = |error| StateError::io("write", &self.path, error);
        let mut lines = Vec::new();
        for metric in metrics {
            serde_json::to_writer(&mut lines, metric).map_err(|error| failed(error.into()))?;
            lines.push(b'\n');
        }
        let mut file =
            disk::private().read(true).append(true).create(true).open(&self.path).map_err(failed)?;
        if !self.whole.swap(false, Relaxed) && disk::ends_in_half_a_line(&file).map_err(failed)? {
            lines.insert(0, b'\n');
        }
        file.write_all(&lines).map_err(failed)?;
        self.whole.store(true, Relaxed);
        Ok(())
    }

    /// All metrics in the order in which they were appended. Lines that a crash tore apart are skipped.
    pub fn read(&self) -> Result<Vec<Metric>> {
        let bytes = disk::read_if_there(&self.path)?.unwrap_or_default();
        let lines = bytes.split(|&byte| byte == b'\n');
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }
}
