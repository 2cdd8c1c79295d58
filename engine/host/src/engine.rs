//! The wasmtime engine, set up so that a task costs next to nothing: a pool of instances, compiled code that is mapped
//! rather than read, and no feature that is not used.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::Semaphore;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::Limits;
use crate::bindings::Plugin;
use crate::store::RunState;
use crate::ticker::Ticker;

/// Tables that a run may have for each memory: components of every toolchain seen have two and one.
const TABLES_PER_MEMORY: u32 = 4;

/// How much of a memory stays with its slot between runs. More makes clearing it slower than mapping it anew.
const KEEP_RESIDENT: usize = 128 << 10;

/// What is shared by all plugins: made when the first one is loaded.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<RunState>,
    pub(crate) ticker: Ticker,
    /// One permit per memory slot of the pool, for a full pool is an error, not a queue.
    pub(crate) slots: Semaphore,
    pub(crate) slot_count: u32,
    /// Whether instances are in a pool.
    pub(crate) pooled: bool,
    /// Bytes of memory of a run.
    pub(crate) run_memory: usize,
}

/// Why the engine cannot be set up.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot set up the plugin engine: {0}")]
pub(crate) struct RuntimeError(String);

impl Runtime {
    pub(crate) fn new(limits: &Limits) -> Result<Self, RuntimeError> {
        let error = |error: wasmtime::Error| RuntimeError(format!("{error:#}"));
        // The pool reserves address space, half a terabyte of it; where that is limited (`ulimit -v`), do without.
        let pooled = || {
            let mut config = config(limits.memory, true);
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
            Engine::new(&config)
        };
        let (engine, pooled) = match pooled() {
            Ok(engine) => (engine, true),
            Err(_) => (Engine::new(&config(limits.memory, false)).map_err(error)?, false),
        };
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(error)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).map_err(error)?;
        Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut RunState| state).map_err(error)?;
        let ticker = Ticker::start(engine.weak()).map_err(|error| RuntimeError(error.to_string()))?;
        let slot_count = limits.concurrency.max(1);
        let slots = Semaphore::new(slot_count as usize);
        Ok(Self { engine, linker, ticker, slots, slot_count, pooled, run_memory: limits.memory })
    }

    /// Slots that a component with so many memories and tables takes.
    pub(crate) fn slots_needed(memories: u32, tables: u32) -> u32 {
        memories.max(tables.div_ceil(TABLES_PER_MEMORY)).max(1)
    }
}

/// An engine that makes the same code as that of a [`Runtime`], and reserves no memory for running any.
pub(crate) fn compiling_engine(run_memory: usize, pooled: bool) -> wasmtime::Result<Engine> {
    Engine::new(&config(run_memory, pooled))
}

/// Names an engine in file names: code made under another key cannot be used.
pub(crate) fn engine_key(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    // Covers wasmtime's full version, every setting that shapes code, and the CPU's features.
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// Everything that shapes code.
fn config(run_memory: usize, pooled: bool) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // Nothing here runs two calls in one instance; without the bookkeeping for that, a call costs a fifth.
    config.concurrency_support(false);
    // Plugins are glue that mostly waits: compiling them in half the time at their first use is worth more than speed.
    config.cranelift_opt_level(wasmtime::OptLevel::None);
    config.cranelift_regalloc_algorithm(wasmtime::RegallocAlgorithm::SinglePass);
    // wasmtime walks guest frames by frame pointers; unwind tables are for native debuggers and slow down loading.
    config.native_unwind_info(cfg!(windows));
    // Names of functions are enough for a backtrace: offsets into the wasm file help nobody without debug information.
    config.generate_address_map(false);
    config.wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable);
    if pooled {
        // Less than 4 GiB would bring bounds checks back into compiled code.
        config.memory_reservation(4 << 30);
        config.memory_guard_size(32 << 20);
    } else {
        config.memory_reservation(run_memory as u64);
        config.memory_guard_size(64 << 10);
    }
    config
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let slots = limits.concurrency.max(1);
    let instances = u32::try_from(limits.instances).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_stacks(slots)
        .total_memories(slots)
        .total_tables(slots.saturating_mul(TABLES_PER_MEMORY))
        .total_core_instances(slots.saturating_mul(instances))
        .max_core_instances_per_component(instances)
        .max_memories_per_component(slots)
        .max_tables_per_module(TABLES_PER_MEMORY)
        .table_elements(limits.table_elements)
        .max_memory_size(limits.memory)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        // Linux: clear the pages that were written to, not all that could have been. Halves the cost of a run.
        .pagemap_scan(Enabled::Auto)
        .table_keep_resident(KEEP_RESIDENT);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_the_compiling_process_fits() {
        let runtime = Runtime::new(&Limits::default()).unwrap();
        let compiling = |pooled| compiling_engine(runtime.run_memory, pooled).unwrap();
        assert_eq!(engine_key(&compiling(runtime.pooled)), engine_key(&runtime.engine));
        assert_ne!(engine_key(&compiling(!runtime.pooled)), engine_key(&runtime.engine));
    }
}
