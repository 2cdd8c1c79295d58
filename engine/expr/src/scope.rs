//! Which value a name has: scopes of loops and macros over the context.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object};

use crate::Value;
use crate::engine::Engine;
use crate::error::Fault;
use crate::values::{self, Entries};

/// Names that Pebble adds to every context.
const CONTEXT: &str = "_context";
const LOCALE: &str = "locale";

#[derive(Default)]
struct Scope {
    variables: Entries,
    /// Names outside are not seen: a macro's scope.
    barrier: bool,
}

impl Scope {
    fn get(&self, name: &str) -> Option<&Value> {
        self.variables.get(name)
    }

    fn put(&mut self, name: &str, value: Value) {
        match self.variables.get_mut(name) {
            Some(known) => *known = value,
            None => _ = self.variables.insert(name.to_string(), value),
        }
    }
}

/// The scopes, innermost last. The first lies over the context: there `set` puts what is not in a loop.
pub(crate) struct Scopes<'a> {
    context: &'a Value,
    scopes: Vec<Scope>,
}

impl<'a> Scopes<'a> {
    pub fn new(context: &'a Value) -> Self {
        Self { context, scopes: vec![Scope::default()] }
    }

    pub fn get(&self, name: &str) -> Option<Value> {
        for scope in self.scopes.iter().rev() {
            if let Some(value) = scope.get(name) {
                return Some(value.clone());
            }
            if scope.barrier {
                return None;
            }
        }
        if let Some(value) = self.of_context(name) {
            return Some(value);
        }
        match name {
            CONTEXT => Some(self.context.clone()),
            LOCALE => Some(Value::from("en")),
            _ => None,
        }
    }

    fn of_context(&self, name: &str) -> Option<Value> {
        let value = self.context.as_object()?.get_value_by_str(name)?;
        (!value.is_undefined()).then_some(value)
    }

    /// Gives a name of the innermost scope a value.
    pub fn put(&mut self, name: &str, value: Value) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.put(name, value);
        }
    }

    /// `set`: changes the name where it is known, else makes it known in the innermost scope.
    pub fn set(&mut self, name: &str, value: Value) {
        let mut target = None;
        for (index, scope) in self.scopes.iter().enumerate().rev() {
            if scope.barrier || scope.get(name).is_some() {
                target = Some(index);
                break;
            }
        }
        let in_context = || self.of_context(name).is_some();
        let index = target.unwrap_or_else(|| if in_context() { 0 } else { self.scopes.len() - 1 });
        if let Some(scope) = self.scopes.get_mut(index) {
            scope.put(name, value);
        }
    }

    pub fn push(&mut self) {
        self.scopes.push(Scope::default());
    }

    pub fn push_barrier(&mut self) {
        self.scopes.push(Scope { barrier: true, ..Scope::default() });
    }

    pub fn pop(&mut self) {
        self.truncate(self.scopes.len() - 1);
    }

    pub fn depth(&self) -> usize {
        self.scopes.len()
    }

    /// Back to an earlier depth; the scope over the context stays.
    pub fn truncate(&mut self, depth: usize) {
        self.scopes.truncate(depth.max(1));
    }

    pub fn in_macro(&self) -> bool {
        self.scopes.iter().any(|scope| scope.barrier)
    }

    /// The names that can be used here.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for scope in self.scopes.iter().rev() {
            names.extend(scope.variables.keys().cloned());
            if scope.barrier {
                return names;
            }
        }
        names.extend(values::pairs(self.context).filter_map(|(key, _)| key.as_str().map(String::from)));
        names
    }

    /// How many names have been given values.
    pub fn len(&self) -> usize {
        self.scopes.iter().map(|scope| scope.variables.len()).sum()
    }

    /// The scopes of a template inside of this one: all that is seen from the outermost scopes, but not from a macro.
    pub fn outer(&self) -> Scopes<'a> {
        let mut all = Scope::default();
        for scope in self.scopes.iter().take_while(|scope| !scope.barrier) {
            for (name, value) in &scope.variables {
                all.put(name, value.clone());
            }
        }
        Scopes { context: self.context, scopes: vec![all] }
    }

    /// The context with what has been set.
    pub fn all(&self, engine: &Engine<'_>) -> Result<Value, Fault> {
        let outer = self.outer();
        let set: Vec<_> = outer.scopes.into_iter().flat_map(|scope| scope.variables).collect();
        if set.is_empty() {
            return Ok(self.context.clone());
        }
        let mut entries = engine.entries(self.context)?;
        entries.extend(set);
        engine.map(entries)
    }
}

/// `loop` in a round of `for`.
#[derive(Debug)]
pub(crate) struct Round {
    pub index: usize,
    pub length: usize,
}

impl Object for Round {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        Some(match key {
            "index" => Value::from(self.index as i64),
            "length" => Value::from(self.length as i64),
            "revindex" => Value::from((self.length - 1 - self.index) as i64),
            "first" => Value::from(self.index == 0),
            "last" => Value::from(self.index + 1 == self.length),
            _ => return None,
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["index", "length", "revindex", "first", "last"])
    }
}
