//! A plugin as a table of its types, and [`plugin!`], which makes one and exports it from the component.

use serde_json::Value;

use crate::task::{misfit, read};
use crate::values::json_text;
use crate::{Context, Error, Poll, PollContext, Result, Task, Trigger};

/// One task type: its names and how to run it on JSON.
#[derive(Debug, Clone, Copy)]
pub struct TaskEntry {
    pub(crate) type_name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) run: fn(&str, &Context) -> Result<String>,
}

/// One trigger type: its names and how to poll it on JSON.
#[derive(Debug, Clone, Copy)]
pub struct TriggerEntry {
    pub(crate) type_name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) poll: fn(&str, &str, &PollContext) -> Result<Poll<String>>,
    pub(crate) acknowledge: fn(&str, &str, &PollContext) -> Result<String>,
}

impl TaskEntry {
    /// The entry of `T`.
    pub const fn of<T: Task>() -> Self {
        Self { type_name: T::TYPE, aliases: T::ALIASES, run: T::run_json }
    }
}

impl TriggerEntry {
    /// The entry of `T`.
    pub const fn of<T: Trigger>() -> Self {
        Self { type_name: T::TYPE, aliases: T::ALIASES, poll: poll::<T>, acknowledge: acknowledge::<T> }
    }
}

fn poll<T: Trigger>(properties: &str, state: &str, cx: &PollContext) -> Result<Poll<String>> {
    let trigger: T = read(T::TYPE, properties)?;
    let Poll { events, state, next } = trigger.poll(cx, read_state::<T>(state)?)?;
    let events = events.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    Ok(Poll { events, state: serde_json::to_string(&state)?, next })
}

fn acknowledge<T: Trigger>(properties: &str, state: &str, cx: &PollContext) -> Result<String> {
    let trigger: T = read(T::TYPE, properties)?;
    Ok(serde_json::to_string(&trigger.acknowledge(cx, read_state::<T>(state)?)?)?)
}

fn read_state<T: Trigger>(state: &str) -> Result<T::State> {
    match state {
        "" | "null" => Ok(T::State::default()),
        state => serde_json::from_str(state).map_err(|error| misfit(T::TYPE, &error)),
    }
}

/// What [`plugin!`] defines: a plugin's name and its tables.
pub trait Plugin {
    /// Its task types.
    const TASKS: &'static [TaskEntry];
    /// Its trigger types.
    const TRIGGERS: &'static [TriggerEntry];

    /// The descriptor, made from the types.
    fn describe() -> Value;

    /// The descriptor as the component gives it.
    fn descriptor() -> String {
        json_text(&Self::describe())
    }

    /// Runs the task with this name or alias.
    fn run(type_name: &str, properties: &str, cx: &Context) -> Result<String> {
        let found =
            Self::TASKS.iter().find(|task| task.type_name == type_name || task.aliases.contains(&type_name));
        match found {
            Some(task) => (task.run)(properties, cx),
            None => Err(unknown("task", type_name)),
        }
    }

    /// Polls the trigger with this name or alias.
    fn poll(type_name: &str, properties: &str, state: &str, cx: &PollContext) -> Result<Poll<String>> {
        (trigger::<Self>(type_name)?.poll)(properties, state, cx)
    }

    /// Lets the trigger with this name or alias follow up on its events.
    fn acknowledge(type_name: &str, properties: &str, state: &str, cx: &PollContext) -> Result<String> {
        (trigger::<Self>(type_name)?.acknowledge)(properties, state, cx)
    }
}

fn trigger<P: Plugin + ?Sized>(type_name: &str) -> Result<&'static TriggerEntry> {
    let named = |entry: &&TriggerEntry| entry.type_name == type_name || entry.aliases.contains(&type_name);
    P::TRIGGERS.iter().find(named).ok_or_else(|| unknown("trigger", type_name))
}

fn unknown(kind: &str, type_name: &str) -> Error {
    Error::new("plugin.unknown-type", format!("this plugin has no {kind} type `{type_name}`"))
}

/// Makes a plugin of task types and trigger types, and exports it from the component.
///
/// ```text
/// plugin!(Hello);
/// plugin!(Get, Set; triggers: Changed);
/// plugin!(triggers: Changed);
/// plugin!(descriptor: "../descriptor.packed"; Get, Set);
/// ```
///
/// With `descriptor`, the component carries that file (a path relative to the crate's `src`) instead of the code that
/// computes it, which is a quarter to a half of a component's code. A test of the crate fails when the file is not
/// current, and writes it when the environment variable `WEFT_UPDATE_DESCRIPTOR` is set. Create it empty before the
/// first time.
///
/// Everything a plugin says of itself besides comes from its `Cargo.toml`: name, version and description.
#[macro_export]
macro_rules! plugin {
    (descriptor: $path:literal; $($task:ty),* $(; triggers: $($trigger:ty),+)? $(,)?) => {
        $crate::plugin!(@define [$($task),*] [$($($trigger),+)?] {
            #[cfg(target_family = "wasm")]
            fn descriptor() -> String {
                $crate::internal::unpack(include_str!($path))
            }
        });

        #[cfg(test)]
        #[test]
        fn descriptor_is_current() {
            let file = ::std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join($path);
            $crate::testing::check_descriptor(&<WeftPlugin as $crate::Plugin>::describe(), &file);
        }
    };
    (triggers: $($trigger:ty),+ $(,)?) => {
        $crate::plugin!(@define [] [$($trigger),+] {});
    };
    ($($task:ty),+ $(; triggers: $($trigger:ty),+)? $(,)?) => {
        $crate::plugin!(@define [$($task),+] [$($($trigger),+)?] {});
    };
    (@define [$($task:ty),*] [$($trigger:ty),*] { $($descriptor:tt)* }) => {
        /// This crate's plugin.
        #[derive(Debug)]
        pub struct WeftPlugin;

        impl $crate::Plugin for WeftPlugin {
            const TASKS: &'static [$crate::TaskEntry] = &[$($crate::TaskEntry::of::<$task>()),*];
            const TRIGGERS: &'static [$crate::TriggerEntry] = &[$($crate::TriggerEntry::of::<$trigger>()),*];

            fn describe() -> $crate::internal::Value {
                $crate::internal::descriptor(
                    env!("CARGO_PKG_NAME"),
                    env!("CARGO_PKG_VERSION"),
                    env!("CARGO_PKG_DESCRIPTION"),
                    vec![$($crate::internal::describe_task::<$task>()),*],
                    vec![$($crate::internal::describe_trigger::<$trigger>()),*],
                )
            }

            $($descriptor)*
        }

        #[cfg(target_family = "wasm")]
        const _: () = {
            type Component = $crate::internal::Component<WeftPlugin>;
            $crate::bindings::export!(Component with_types_in $crate::bindings);
        };
    };
}
