//! `jq`: programs of jq over a value, run by jaq. The result is always the list of what the program yields.
//!
//! jaq has no bounds of its own, so programs are rewritten before they are compiled: everything that can happen many
//! times first calls `__step`, which fails when the rendering's rounds or the thread's stack are used up, and which no
//! `try` of the program can catch. Programs run on a thread of their own, since jaq recurses deeper than the threads
//! of a server allow. Values are a
//! type of our own around jaq's, for jq 1.6 differs in numbers and in what can be assigned to; `prelude.jq` has the
//! builtins that it defines otherwise. Builtins that reach outside (`env`, `halt`) do not exist.

mod access;
mod bounds;
mod json;
mod natives;
mod regular;
mod steps;
mod times;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use jaq_core::load::lex::Lexer;
use jaq_core::load::parse::{Def, Parser};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::native::Fun;
use jaq_core::{Compiler, Ctx, Error, Vars};
use jaq_json::{Num, Val};
use minijinja::value::ValueKind;

use self::bounds::bounded_def;
use self::json::Json;
use self::steps::{Data, Kind, RESERVED, Steps};
use super::Filter;
use crate::arguments::Args;
use crate::engine::Engine;
use crate::error::Fault;
use crate::values::{self, Entries, Number};
use crate::{Value, text};

pub(super) const FILTERS: &[Filter] = &[Filter::new("jq", &["expression"], 1, jq)];

/// Characters of the longest program: the parser recurses for each.
const MAX_PROGRAM: usize = 16 * 1024;
/// Bytes of the thread's stack. Only what is used is taken from the machine.
const STACK: usize = 256 << 20;
/// Compiled programs that are kept.
const CACHED: usize = 64;

/// Builtins of jaq that are left out, as functions and as definitions: they reach outside, or there are our own.
const LEFT_OUT: [&str; 21] = [
    "env",
    "from_entries",
    "join",
    "now",
    "halt",
    "halt_error",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "input",
    "matches",
    "split_matches",
    "split_",
    "strptime",
    "infinite",
    "nan",
    "todate",
    "todateiso8601",
    "tobytes",
    "test",
];

fn jq(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let source = args.text(0)?;
    let program = compiled(&source)?;
    let now = source.contains("now").then(|| engine.env.now().ok()).flatten();
    let now = now.map(|now| now.timestamp().as_microsecond() as f64 / 1e6);
    let budget = engine.remaining();
    let (depth, most) = (engine.limits.depth, engine.limits.output_bytes);
    // The engine stays behind: what it shares is not for several threads.
    let run = || run(&program, input, now, budget, depth, most);
    let (items, steps) = thread::scope(|scope| {
        let worker = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run);
        let worker =
            worker.map_err(|error| Fault::new(format!("cannot start a thread for `jq`: {error}")))?;
        worker.join().unwrap_or_else(|_| Err(Fault::new("`jq` failed on this program")))
    })?;
    engine.charge(steps)?;
    engine.list(items)
}

type Program = jaq_core::Filter<Kind>;

/// Compiled programs by their source: compiling takes a thousand times longer than a small program runs.
static PROGRAMS: LazyLock<Mutex<HashMap<String, Arc<Program>>>> = LazyLock::new(Mutex::default);

fn compiled(source: &str) -> Result<Arc<Program>, Fault> {
    // A panic elsewhere leaves the map as it was.
    let cache = || PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(program) = cache().get(source) {
        return Ok(Arc::clone(program));
    }
    if source.len() > MAX_PROGRAM {
        return Err(Fault::new(format!("the `jq` program is longer than {MAX_PROGRAM} characters")));
    }
    let program = thread::scope(|scope| {
        let worker = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || compile(source));
        let worker =
            worker.map_err(|error| Fault::new(format!("cannot start a thread for `jq`: {error}")))?;
        worker.join().unwrap_or_else(|_| Err(Fault::new("`jq` cannot compile this program")))
    })?;
    let program = Arc::new(program);
    let mut cache = cache();
    if cache.len() >= CACHED {
        cache.clear();
    }
    cache.insert(source.to_string(), Arc::clone(&program));
    Ok(program)
}

fn compile(source: &str) -> Result<Program, Fault> {
    let wrong = |what: String| {
        Fault::new(format!("{} is not a program of jq: {what}", text::quote(source)))
            .with_hint("write a path as `.name[0]`, and names with dashes as `.[\"my-name\"]`")
    };
    if let Some(name) = RESERVED.iter().find(|name| source.contains(**name)) {
        return Err(wrong(format!("`{name}` is reserved")));
    }
    let prelude =
        jaq_core::load::parse(include_str!("prelude.jq"), |parser| parser.defs()).unwrap_or_default();
    let theirs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let defs = theirs.filter(|def| !LEFT_OUT.contains(&def.name)).chain(prelude).map(shortened);
    let arena = Arena::default();
    // The module system is the loader's only way to the main program's tree, so it is parsed here and comes in as a
    // definition that the main program calls.
    let tokens = Lexer::new(source).lex().map_err(|errors| {
        let near = errors.first().map(|(_, rest)| *rest).unwrap_or_default();
        wrong(format!("unexpected {}", near_text(near)))
    })?;
    let term = Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| {
        let (expected, found) = errors.first().map_or(("something else", ""), |(expected, found)| {
            (expected.as_str(), found.map_or("", |token| token.0))
        });
        wrong(format!("expected {expected}, found {}", near_text(found)))
    })?;
    let main = Def { name: "__main", args: Vec::new(), body: term };
    let defs: Vec<_> = defs.chain([main]).map(bounded_def).collect();
    let loader = Loader::new(defs);
    let modules = loader
        .load(&arena, File { code: "__main", path: () })
        .map_err(|_| wrong("it cannot be loaded".to_string()))?;
    Compiler::default().with_funs(builtins().chain(steps::natives())).compile(modules).map_err(|errors| {
        let undefined = errors.into_iter().flat_map(|(_, errors)| errors).next();
        wrong(match undefined {
            Some(("env" | "$ENV", _)) => {
                "it may not read the engine's environment; `envs` has the variables that are meant for flows"
                    .to_string()
            }
            Some((name, _)) => format!("`{name}` is not defined"),
            None => "it cannot be compiled".to_string(),
        })
    })
}

/// The builtins that are no definitions.
fn builtins() -> impl Iterator<Item = Fun<Kind>> {
    let theirs = jaq_core::funs().chain(jaq_std::funs()).filter(|(name, ..)| !LEFT_OUT.contains(name));
    theirs.chain(natives::natives()).chain(regular::natives()).chain(times::natives())
}

/// Definitions that live as long as a program's source.
fn shortened<'s>(def: Def<&'static str>) -> Def<&'s str> {
    def
}

fn near_text(rest: &str) -> String {
    match rest.is_empty() {
        true => "the end".to_string(),
        false => format!("`{}`", text::short(rest, 20)),
    }
}

/// Runs on the thread made for it.
fn run(
    program: &Program,
    input: &Value,
    now: Option<f64>,
    budget: usize,
    depth: usize,
    most_bytes: usize,
) -> Result<(Vec<Value>, usize), Fault> {
    let steps = Steps::new(budget, most_bytes);
    let input = match input.as_str() {
        Some(text) => {
            let json: serde_json::Value = serde_json::from_str(text).map_err(|error| {
                Fault::new(format!("`jq` reads a text as JSON, but this is none: {error}"))
            })?;
            to_jq(&values::from_json(json, depth)?, depth)?
        }
        None => to_jq(input, depth)?,
    };
    let context = Ctx::<Kind>::new(Data { lut: &program.lut, steps: &steps, now }, Vars::new([]));
    let mut items = Vec::new();
    for result in program.id.run((context, Json(input))) {
        if !steps.step() {
            break;
        }
        match result {
            Ok(value) => items.push(from_jq(&value.0, depth, &steps)?),
            Err(exception) => {
                if let Some(fault) = steps.take_fault() {
                    return Err(fault);
                }
                let message =
                    exception.get_err().map_or("it was stopped".to_string(), |e: Error<Json>| e.to_string());
                let message = text::short(&message, 200);
                return Err(Fault::new(format!("the `jq` program failed: {message}")));
            }
        }
    }
    match steps.take_fault() {
        Some(fault) => Err(fault),
        None => Ok((items, budget - steps.left())),
    }
}

fn too_deep() -> Fault {
    Fault::new("the value is nested too deep for `jq`")
}

fn to_jq(value: &Value, depth: usize) -> Result<Val, Fault> {
    // A list at the deepest level allowed still has elements.
    let below = |value: &Value| match depth {
        0 => Err(too_deep()),
        depth => to_jq(value, depth - 1),
    };
    Ok(match value.kind() {
        ValueKind::None | ValueKind::Undefined => Val::Null,
        ValueKind::Bool => Val::Bool(value.is_true()),
        ValueKind::Number => match Number::of(value) {
            Some(Number::Integer(number)) => Val::Num(Num::from_integral(number)),
            Some(Number::Float(number)) if !value.is_integer() => Json::from(number).0,
            _ => {
                <Json as jaq_core::ValT>::from_num(&value.to_string())
                    .map_err(|_| Fault::new("`jq` cannot take this number"))?
                    .0
            }
        },
        ValueKind::Seq | ValueKind::Iterable => {
            values::elements(value).map(|element| below(&element)).collect::<Result<_, _>>()?
        }
        ValueKind::Map => {
            let entries = values::pairs(value).map(|(key, value)| {
                Ok((Val::from(text::scalar(&key).unwrap_or_default().into_owned()), below(&value)?))
            });
            Val::obj(entries.collect::<Result<_, Fault>>()?)
        }
        ValueKind::Invalid => return Err(values::held_error(value).unwrap_or_else(too_deep)),
        _ => Val::from(text::scalar(value).unwrap_or_default().into_owned()),
    })
}

fn from_jq(value: &Val, depth: usize, steps: &Steps) -> Result<Value, Fault> {
    if !steps.step() {
        return Err(steps.take_fault().unwrap_or_else(too_deep));
    }
    let Some(below) = depth.checked_sub(1) else { return Err(too_deep()) };
    Ok(match value {
        Val::Null => values::null(),
        Val::Bool(flag) => Value::from(*flag),
        Val::Num(Num::Float(number)) if number.is_nan() => values::null(),
        Val::Num(number) => number_from_jq(value, number),
        Val::TStr(bytes) | Val::BStr(bytes) => Value::from(String::from_utf8_lossy(bytes).into_owned()),
        Val::Arr(items) => {
            let items: Result<_, _> = items.iter().map(|item| from_jq(item, below, steps)).collect();
            values::list(items?, depth)?
        }
        Val::Obj(map) => {
            let entries: Result<Entries, Fault> = map
                .iter()
                .map(|(key, value)| {
                    let key = match key {
                        Val::TStr(bytes) | Val::BStr(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                        key => key.to_string(),
                    };
                    Ok((key, from_jq(value, below, steps)?))
                })
                .collect();
            values::map(entries?, depth)?
        }
    })
}

fn number_from_jq(value: &Val, number: &Num) -> Value {
    let text = number.to_string();
    match (text.parse::<i64>(), text.parse::<i128>()) {
        (Ok(number), _) => Value::from(number),
        (_, Ok(number)) => Value::from(number),
        // The largest number stands for what is infinite, as in jq.
        _ => Value::from(jaq_std::ValT::as_f64(value).unwrap_or_default().clamp(f64::MIN, f64::MAX)),
    }
}
