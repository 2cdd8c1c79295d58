//! What the host holds for one run of a plugin; gone, with everything the guest opened or started, when the run ends.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use weft_model::Failure;
use weft_network::Network;

use crate::capabilities::environment::Declared;
use crate::capabilities::network::Outbound;
use crate::engine::Runtime;
use crate::failure::CpuExhausted;
use crate::limits::{CpuMeter, MemoryLimit};
use crate::sizes::{self, JsonBounds};
use crate::stdio::Stdio;
use crate::{Capabilities, Capability, Grants, Limits};

/// Where the guest sees the working directory.
const WORK: &str = "/work";

/// Who runs, and what it may do.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// As in messages and `--grant`.
    pub(crate) plugin: Arc<str>,
    pub(crate) grants: Grants,
    /// What its description says it looks at; nothing while it is not known.
    pub(crate) declared: Arc<OnceLock<Declared>>,
}

/// The data of a store.
pub(crate) struct RunState {
    pub(crate) caps: Arc<dyn Capabilities>,
    pub(crate) memory: MemoryLimit,
    pub(crate) table: ResourceTable,
    identity: Identity,
    json: JsonBounds,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    pub(crate) outbound: Outbound,
}

impl RunState {
    /// Whether the plugin may use `capability`; the failure says how to grant it.
    pub(crate) fn allow(&self, capability: Capability) -> Result<(), Failure> {
        self.identity.allow(capability)
    }

    pub(crate) fn plugin(&self) -> &str {
        &self.identity.plugin
    }

    /// What the plugin's description says it looks at.
    pub(crate) fn needs(&self) -> Declared {
        self.identity.declared.get().cloned().unwrap_or_default()
    }

    /// Reads JSON that the guest handed over as `what`.
    pub(crate) fn json(&self, what: &str, text: &str) -> Result<Value, Failure> {
        self.noted(self.json.parse(self.plugin(), what, text))
    }

    /// Reads options that the guest handed over as `what`: these are small.
    pub(crate) fn options(&self, what: &str, text: &str) -> Result<Value, Failure> {
        self.noted(self.json.options().parse(self.plugin(), what, text))
    }

    /// Whether a name, path, address or key of the guest, which the engine calls `what`, is as short as such a thing is.
    pub(crate) fn name(&self, what: &str, text: &str) -> Result<(), Failure> {
        self.noted(sizes::check_name(self.plugin(), what, text))
    }

    /// A bound that is met fails the run, whatever the guest makes of the answer.
    pub(crate) fn noted<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(failure) = &result
            && failure.code == "task.budget"
        {
            self.caps.exceed(failure);
        }
        result
    }
}

impl Identity {
    /// Whether the plugin may use `capability`; the failure says how to grant it.
    pub(crate) fn allow(&self, capability: Capability) -> Result<(), Failure> {
        let Self { plugin, grants, .. } = self;
        if grants.contains(capability) {
            return Ok(());
        }
        let message = format!(
            "plugin `{plugin}` may not use `{capability}`\nhint: to allow it, start with `--grant {plugin}:{capability}`"
        );
        let detail = serde_json::json!({"plugin": &**plugin, "capability": capability.as_str()});
        Err(Failure::new("capability.denied", message).with_detail(detail))
    }
}

impl WasiView for RunState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for RunState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}

/// A store and what is watched while it runs.
pub(crate) struct Session {
    pub(crate) store: Store<RunState>,
    pub(crate) meter: Arc<CpuMeter>,
    pub(crate) stdio: Stdio,
}

impl Session {
    /// A store for one run.
    pub(crate) fn new(
        runtime: &Runtime,
        identity: Identity,
        limits: &Limits,
        network: &Network,
        caps: Arc<dyn Capabilities>,
    ) -> Result<Self, Failure> {
        let stdio = Stdio::new(Arc::clone(&caps), limits.stdio_bytes);
        let mut wasi = WasiCtx::builder();
        wasi.stdout(stdio.stdout()).stderr(stdio.stderr());
        let outbound = Outbound::new(network.clone(), identity.clone());
        outbound.open_sockets(&mut wasi);
        let directory = caps.working_dir();
        if directory != Path::new("") {
            wasi.preopened_dir(directory, WORK, FsPerms::ReadWrite).map_err(|error| {
                let message = format!("cannot open the working directory {}: {error:#}", directory.display());
                Failure::new("plugin.working-directory", message)
            })?;
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources);
        let state = RunState {
            caps,
            memory: MemoryLimit::new(limits),
            table,
            identity,
            json: JsonBounds::of(limits),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outbound,
        };
        let mut store = Store::new(&runtime.engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(sizes::of_call(limits));
        let meter = Arc::new(CpuMeter::default());
        let (budget, used) = (limits.cpu, Arc::clone(&meter));
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            if used.used() > budget {
                return Err(CpuExhausted(budget).into());
            }
            // Make way for whatever else this thread has to do. tokio's own way of yielding also lets it look at timers
            // and sockets, which it otherwise does after 61 polls: half a second of busy guests.
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        Ok(Self { store, meter, stdio })
    }
}

impl Drop for Session {
    /// What the guest wrote without a line break is logged however the run ends.
    fn drop(&mut self) {
        self.stdio.finish();
    }
}
