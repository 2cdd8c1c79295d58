//! The component's exports: contract types in, a [`Plugin`]'s functions called, contract types out.

use std::marker::PhantomData;

use crate::bindings::exports::weft::plugin::{descriptor, task, trigger};
use crate::bindings::weft::plugin::types::{Failure, Invocation};
use crate::context::Facts;
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
            facts: Facts::new(call.context),
        };
        Ok(P::run(&cx.type_name, &call.properties, &cx)?)
    }
}

impl<P: Plugin> trigger::Guest for Component<P> {
    fn poll(call: trigger::Evaluation) -> Result<trigger::PollResult, Failure> {
        let (cx, properties, state) = taken_apart(call);
        let found = P::poll(&cx.type_name, &properties, &state, &cx)?;
        Ok(trigger::PollResult {
            events: found.events.iter().map(json_text).collect(),
            state: found.state,
            next_poll_ms: found.next.map(|next| u64::try_from(next.as_millis()).unwrap_or(u64::MAX)),
        })
    }

    fn acknowledge(call: trigger::Evaluation) -> Result<String, Failure> {
        let (cx, properties, state) = taken_apart(call);
        Ok(P::acknowledge(&cx.type_name, &properties, &state, &cx)?)
    }
}

fn taken_apart(call: trigger::Evaluation) -> (PollContext, String, String) {
    let cx = PollContext {
        host: Host,
        trigger_id: call.trigger_id,
        type_name: call.type_,
        facts: Facts::new(call.context),
    };
    (cx, call.properties, call.state)
}
