//! What one attempt at a task run, or one evaluation of a trigger, may hand to the engine in all.
//!
//! A plugin is bounded in its own memory, and each of its calls in what it carries. What adds up from call to call stays
//! with the engine, in memory and in the journal, so it is counted here, for plugins and scripts alike: whoever keeps
//! something of theirs draws it from the attempt's [`Budget`] first. What is beyond a bound is not kept and fails the
//! attempt, whether or not the plugin minds.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use weft_model::{Amount, AttemptLimits, ExecutionUpdate, Failure, abridged};

/// What a plugin may put around the outputs of its script: these may fill the bound, and are passed on with an exit code.
const AROUND_SCRIPTS: Amount = Amount { bytes: 1 << 10, nodes: 100 };

/// Who puts out an output. What a script has put out its plugin mostly puts out once more, under a name of its own: of the
/// two, the larger counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A script, with `::{"outputs": ...}::`.
    Script,
    /// The plugin.
    Plugin,
}

/// A bound that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    OutputBytes,
    OutputNodes,
    KeyBytes,
    Updates,
    Labels,
    Metrics,
    MetricBytes,
    Secrets,
    SecretBytes,
    KvBytes,
}

/// What would be kept, and what may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Exceeded {
    bound: Bound,
    amount: u64,
    limit: u64,
}

impl Exceeded {
    /// The failure for it; `what` is the last straw.
    fn failure(self, what: &str) -> Failure {
        let Self { bound, amount, limit } = self;
        let (setting, message, hint) = match bound {
            Bound::OutputBytes => (
                "outputBytes",
                format!(
                    "outputs and changes to the execution would have {amount} bytes, and may have {limit} in one attempt"
                ),
                "put large data into a file and put out its URI",
            ),
            Bound::OutputNodes => (
                "outputNodes",
                format!(
                    "outputs and changes to the execution would have {amount} values, and may have {limit} in one attempt"
                ),
                "put large data into a file and put out its URI",
            ),
            Bound::KeyBytes => {
                ("keyBytes", format!("it has {amount} bytes, and may have {limit}"), "choose a shorter text")
            }
            Bound::Updates => (
                "updates",
                format!("one attempt may change the execution {limit} times"),
                "set several labels or variables in one change",
            ),
            Bound::Labels => (
                "labels",
                format!("one attempt may set {limit} labels"),
                "put out what is no label as an output",
            ),
            Bound::Metrics => (
                "metrics",
                format!("one attempt may have {limit} metrics that differ in name, type or tags"),
                "use tags with fewer values",
            ),
            Bound::MetricBytes => (
                "metricBytes",
                format!(
                    "names and tags of metrics would have {amount} bytes, and may have {limit} in one attempt"
                ),
                "use shorter tags, and fewer values of them",
            ),
            Bound::Secrets => (
                "secrets",
                format!("one attempt may ask for {limit} secrets"),
                "divide the work among several tasks",
            ),
            Bound::SecretBytes => (
                "secretBytes",
                format!("secrets would have {amount} bytes, and may have {limit} in one attempt"),
                "keep large data in a file, and only its key as a secret",
            ),
            Bound::KvBytes => (
                "kvBytes",
                format!(
                    "one attempt would write {amount} bytes into key-value stores, and may write {limit}"
                ),
                "put large data into a file and set its URI",
            ),
        };
        let message = format!("{what}: {message}\nhint: {hint}; the operator can set `limits.{setting}`");
        Failure::new("task.budget", message)
            .with_detail(json!({"bound": setting, "amount": amount, "limit": limit}))
    }
}

/// What an attempt has drawn so far. Nothing is drawn where the answer is an error.
#[derive(Debug, Default)]
struct Drawn {
    scripts: Amount,
    plugin: Amount,
    changes: Amount,
    updates: u64,
    labels: HashSet<String>,
    metrics: u64,
    metric_bytes: u64,
    /// Hashes of the secrets, for these are not to lie about.
    secrets: HashSet<u64>,
    secret_bytes: u64,
    kv_bytes: u64,
}

fn within(bound: Bound, amount: u64, limit: u64) -> Result<u64, Exceeded> {
    if amount > limit { Err(Exceeded { bound, amount, limit }) } else { Ok(amount) }
}

impl Drawn {
    /// Outputs of `origin` become more or less: `before` is replaced by `after`.
    fn replace_output(
        &mut self,
        limits: &AttemptLimits,
        origin: Origin,
        before: Amount,
        after: Amount,
    ) -> Result<(), Exceeded> {
        let (mut scripts, mut plugin) = (self.scripts, self.plugin);
        let pool = match origin {
            Origin::Script => &mut scripts,
            Origin::Plugin => &mut plugin,
        };
        let rest = Amount {
            bytes: pool.bytes.saturating_sub(before.bytes),
            nodes: pool.nodes.saturating_sub(before.nodes),
        };
        *pool = rest + after;
        Self::fits(limits, scripts, plugin, self.changes)?;
        (self.scripts, self.plugin) = (scripts, plugin);
        Ok(())
    }

    fn fits(
        limits: &AttemptLimits,
        scripts: Amount,
        plugin: Amount,
        changes: Amount,
    ) -> Result<(), Exceeded> {
        let nothing = Amount::default();
        let around = if scripts == nothing { nothing } else { AROUND_SCRIPTS };
        for (outputs, around) in [(scripts, nothing), (plugin, around)] {
            let (all, limit) = (
                outputs + changes,
                Amount { bytes: limits.output_bytes, nodes: limits.output_nodes } + around,
            );
            within(Bound::OutputBytes, all.bytes, limit.bytes)?;
            within(Bound::OutputNodes, all.nodes, limit.nodes)?;
        }
        Ok(())
    }

    /// One change to the execution, of this size, which sets labels with these keys.
    fn change<'k>(
        &mut self,
        limits: &AttemptLimits,
        amount: Amount,
        labels: impl Iterator<Item = &'k str>,
    ) -> Result<(), Exceeded> {
        let updates = within(Bound::Updates, self.updates.saturating_add(1), limits.updates)?;
        let changes = self.changes + amount;
        Self::fits(limits, self.scripts, self.plugin, changes)?;
        let new: HashSet<&str> = labels.filter(|key| !self.labels.contains(*key)).collect();
        within(Bound::Labels, (self.labels.len() as u64).saturating_add(new.len() as u64), limits.labels)?;
        self.labels.extend(new.into_iter().map(str::to_owned));
        (self.updates, self.changes) = (updates, changes);
        Ok(())
    }

    /// One more metric, with name and tags of so many bytes.
    fn metric(&mut self, limits: &AttemptLimits, bytes: u64) -> Result<(), Exceeded> {
        let metrics = within(Bound::Metrics, self.metrics.saturating_add(1), limits.metrics)?;
        let bytes = within(Bound::MetricBytes, self.metric_bytes.saturating_add(bytes), limits.metric_bytes)?;
        (self.metrics, self.metric_bytes) = (metrics, bytes);
        Ok(())
    }

    /// A secret with this hash, of so many bytes.
    fn secret(&mut self, limits: &AttemptLimits, hash: u64, bytes: u64) -> Result<(), Exceeded> {
        if self.secrets.contains(&hash) {
            return Ok(());
        }
        within(Bound::Secrets, (self.secrets.len() as u64).saturating_add(1), limits.secrets)?;
        let bytes = within(Bound::SecretBytes, self.secret_bytes.saturating_add(bytes), limits.secret_bytes)?;
        self.secrets.insert(hash);
        self.secret_bytes = bytes;
        Ok(())
    }

    /// So many bytes for key-value stores.
    fn stored(&mut self, limits: &AttemptLimits, bytes: u64) -> Result<(), Exceeded> {
        self.kv_bytes = within(Bound::KvBytes, self.kv_bytes.saturating_add(bytes), limits.kv_bytes)?;
        Ok(())
    }
}

/// What one attempt may still hand to the engine. Drawn from on many threads.
#[derive(Debug)]
pub struct Budget {
    limits: AttemptLimits,
    hasher: RandomState,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    drawn: Drawn,
    /// The first bound that was met.
    exceeded: Option<Failure>,
}

impl Budget {
    /// A whole budget.
    pub fn new(limits: AttemptLimits) -> Self {
        Self { limits, hasher: RandomState::new(), state: Mutex::default() }
    }

    /// Draws an output in place of what its key had before.
    pub fn output(
        &self,
        origin: Origin,
        key: &str,
        before: Option<&Value>,
        after: &Value,
    ) -> Result<(), Failure> {
        let what = || format!("output `{}`", abridged(key));
        self.key(key, what)?;
        let amount = |value| Amount::of_member(key, value);
        let (before, after) = (before.map_or(Amount::default(), amount), amount(after));
        self.draw(what, |drawn, limits| drawn.replace_output(limits, origin, before, after))
    }

    /// Draws a change to the execution.
    pub fn update(&self, update: &ExecutionUpdate) -> Result<(), Failure> {
        let texts = |amount: Amount, text: &str| amount + Amount { bytes: text.len() as u64, nodes: 1 };
        let (mut amount, mut labels) = (Amount::default(), &[][..]);
        match update {
            ExecutionUpdate::Labels(new) => {
                labels = new;
                for label in labels {
                    self.key(&label.key, || format!("the key of label `{}`", abridged(&label.key)))?;
                    self.key(&label.value, || format!("the value of label `{}`", label.key))?;
                    amount = texts(texts(amount, &label.key), &label.value);
                }
            }
            ExecutionUpdate::SetVariables(variables) => {
                for name in variables.keys() {
                    self.key(name, || format!("variable `{}`", abridged(name)))?;
                }
                amount = Amount::of_members(variables);
            }
            ExecutionUpdate::UnsetVariables(names) => {
                amount = names.iter().fold(amount, |amount, name| texts(amount, name));
            }
            ExecutionUpdate::Exit(_) => {}
        }
        let keys = || labels.iter().map(|label| label.key.as_str());
        self.draw(
            || "a change to the execution".to_owned(),
            |drawn, limits| drawn.change(limits, amount, keys()),
        )
    }

    /// Draws a metric that differs from all before.
    pub fn metric<'t>(
        &self,
        name: &str,
        tags: impl Iterator<Item = (&'t str, &'t str)>,
    ) -> Result<(), Failure> {
        /// Quotes, colon and comma.
        const AROUND: usize = 6;
        let what = || format!("metric `{}`", abridged(name));
        self.key(name, what)?;
        let bytes = tags.map(|(key, value)| key.len() + value.len() + AROUND).sum::<usize>() + name.len();
        self.draw(what, |drawn, limits| drawn.metric(limits, bytes as u64))
    }

    /// Draws a secret, to be hidden from now on. One that was drawn before is free.
    pub fn secret(&self, secret: &str) -> Result<(), Failure> {
        let hash = self.hasher.hash_one(secret);
        self.draw(|| "a secret".to_owned(), |drawn, limits| drawn.secret(limits, hash, secret.len() as u64))
    }

    /// Draws a value for a key-value store.
    pub fn stored(&self, key: &str, value: &Value) -> Result<(), Failure> {
        let bytes = Amount::of_member(key, value).bytes;
        self.draw(
            || format!("the value of key `{}`", abridged(key)),
            |drawn, limits| drawn.stored(limits, bytes),
        )
    }

    /// Remembers that a bound was met that somebody else has looked at.
    pub fn exceed(&self, failure: Failure) {
        self.lock().exceeded.get_or_insert(failure);
    }

    /// The first bound that was met: why the attempt fails.
    pub fn exceeded(&self) -> Option<Failure> {
        self.lock().exceeded.clone()
    }

    /// Whether the attempt fails anyway.
    pub fn is_exceeded(&self) -> bool {
        self.lock().exceeded.is_some()
    }

    fn key(&self, text: &str, what: impl Fn() -> String) -> Result<(), Failure> {
        let limits = self.limits;
        let exceeded = within(Bound::KeyBytes, text.len() as u64, limits.key_bytes);
        exceeded.map(drop).map_err(|exceeded| self.refuse(&mut self.lock(), exceeded, &what()))
    }

    fn draw(
        &self,
        what: impl Fn() -> String,
        draw: impl FnOnce(&mut Drawn, &AttemptLimits) -> Result<(), Exceeded>,
    ) -> Result<(), Failure> {
        let mut state = self.lock();
        draw(&mut state.drawn, &self.limits).map_err(|exceeded| self.refuse(&mut state, exceeded, &what()))
    }

    fn refuse(&self, state: &mut State, exceeded: Exceeded, what: &str) -> Failure {
        let failure = exceeded.failure(what);
        state.exceeded.get_or_insert_with(|| failure.clone());
        failure
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while drawing has drawn all or nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(AttemptLimits::default())
    }
}

#[cfg(test)]
mod tests;
