//! The component's exports: contract types in, a [`Plugin`]'s functions called, contract types out.

use std::cell::OnceCell;
use std::marker::PhantomData;

use crate::bindings::exports::weft::plugin::{descriptor, task, trigger};
use crate::bindings::weft::plugin::types::{Failure, Invocation};
use crate::host::Host;
use crate::values::json_text;
use crate::{Context, Plugin, PollContext};

/// `P` behind the exports of the contract's world `plugin`.
#[derive(Debug)]
pub struct Component<P>(PhantomData<P>);

impl<P: Plugin> descriptor::Guest for Component<P> {
    fn describe() -> String {
        P::descriptor()
    }
}

impl<P: Plugin> task::Guest for Component<P> {
    fn run(call: Invocation) -> Result<String, Failure> {
        let cx = Context {
            host: Host,
            execution_id: call.execution_id,
            task_run_id: call.task_run_id,
            task_id: call.task_id,
            type_name: call.type_,
            attempt: call.attempt,
            context: call.context,
            facts: OnceCell::new(),
        };
        Ok(P::run(&cx.type_name, &call.properties, &cx)?)
    }
}

impl<P: Plugin> trigger::Guest for Component<P> {
    fn poll(type_name: String, properties: String, state: String) -> Result<trigger::PollResult, Failure> {
        let found = P::poll(&type_name, &properties, &state, &PollContext { host: Host })?;
        Ok(trigger::PollResult {
            events: found.events.iter().map(json_text).collect(),
            state: found.state,
            next_poll_ms: found.next.map(|next| u64::try_from(next.as_millis()).unwrap_or(u64::MAX)),
        })
    }
}
