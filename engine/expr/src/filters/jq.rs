//! `jq`: programs of jq over a value, run by jaq. The result is always the list of what the program yields.
//!
//! jaq has no bounds of its own, so programs are rewritten before they are compiled: everything that can happen many
//! times first calls `__step`, which fails when the rendering's rounds or the thread's stack are used up, and which no
//! `try` of the program can catch. Programs run on a thread of their own, since jaq recurses deeper than the threads
//! of a server allow. Builtins that reach outside (`env`, `now`, `input`, `debug`, `halt`) do not exist.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use jaq_core::box_iter::box_once;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::native::{v, Fun};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};
use jaq_core::{Compiler, Ctx, DataT, Error, Exn, Native, Vars};
use jaq_json::{Num, Val};
use minijinja::value::ValueKind;

use super::Filter;
use crate::arguments::Args;
use crate::engine::Engine;
use crate::error::Fault;
use crate::values::{self, Entries, Number};
use crate::{text, Value};

pub(super) const FILTERS: &[Filter] = &[Filter::new("jq", &["expression"], 1, jq)];

/// Characters of the longest program: the parser recurses for each.
const MAX_PROGRAM: usize = 16 * 1024;
/// Bytes of the thread's stack. Only what is used is taken from the machine.
const STACK: usize = 256 << 20;
/// What of the stack a program may use; the rest is for values to be dropped, which recurses as well.
const STACK_FOR_STEPS: usize = STACK / 4;
/// Compiled programs that are kept.
const CACHED: usize = 64;

/// Builtins of jaq that are left out, as functions and as definitions.
const LEFT_OUT: [&str; 9] =
    ["env", "now", "halt", "halt_error", "debug", "debug_empty", "stderr", "stderr_empty", "input"];

fn jq(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let source = args.text(0)?;
    let program = compiled(&source)?;
    let budget = engine.remaining();
    let (depth, most) = (engine.limits.depth, engine.limits.output_bytes);
    // The engine stays behind: what it shares is not for several threads.
    let run = || run(&program, input, budget, depth, most);
    let (items, steps) = thread::scope(|scope| {
        let worker = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run);
        let worker = worker.map_err(|error| Fault::new(format!("cannot start a thread for `jq`: {error}")))?;
        worker.join().unwrap_or_else(|_| Err(Fault::new("`jq` failed on this program")))
    })?;
    engine.charge(steps)?;
    engine.list(items)
}

/// The program's state that its natives see.
struct Steps {
    left: std::cell::Cell<usize>,
    most_bytes: usize,
    /// An address on the stack where the program began.
    stack: usize,
    /// Why the program was stopped.
    stopped: std::cell::RefCell<Option<Fault>>,
}

impl Steps {
    fn stop(&self, fault: Fault) -> bool {
        self.stopped.replace(Some(fault));
        false
    }

    fn step(&self) -> bool {
        let here = 0u8;
        let used = (&raw const here as usize).abs_diff(self.stack);
        if used > STACK_FOR_STEPS {
            return self.stop(Fault::new("the `jq` program is nested too deep"));
        }
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                true
            }
            None => self.stop(Fault::new("the `jq` program took too many steps")),
        }
    }

    /// Whether a text of so many bytes may be made.
    fn fits(&self, bytes: usize) -> bool {
        bytes <= self.most_bytes || self.stop(text::too_long(self.most_bytes))
    }
}

#[derive(Clone)]
struct Data<'a> {
    lut: &'a jaq_core::Lut<Kind>,
    steps: &'a Steps,
}

struct Kind;

impl DataT for Kind {
    type V<'a> = Val;
    type Data<'a> = Data<'a>;
}

impl<'a> jaq_core::data::HasLut<'a, Kind> for Data<'a> {
    fn lut(&self) -> &'a jaq_core::Lut<Kind> {
        self.lut
    }
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
        let worker = worker.map_err(|error| Fault::new(format!("cannot start a thread for `jq`: {error}")))?;
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
        Fault::new(format!("`{source}` is not a program of jq: {what}"))
            .with_hint("write a path as `.name[0]`, and names with dashes as `.[\"my-name\"]`")
    };
    let left_out = |name: &str| LEFT_OUT.contains(&name);
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).filter(|def| !left_out(def.name));
    let arena = Arena::default();
    // The module system is the loader's only way to the main program's tree, so it is parsed here and comes in as a
    // definition that the main program calls.
    let tokens = jaq_core::load::lex::Lexer::new(source).lex().map_err(|errors| {
        let near = errors.first().map(|(_, rest)| *rest).unwrap_or_default();
        wrong(format!("unexpected {}", near_text(near)))
    })?;
    let term = jaq_core::load::parse::Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| {
        let (expected, found) = errors.first().map_or(("something else", ""), |(expected, found)| {
            (expected.as_str(), found.map_or("", |token| token.0))
        });
        wrong(format!("expected {expected}, found {}", near_text(found)))
    })?;
    let main = Def::new("__main", Vec::new(), term);
    let defs: Vec<_> = defs.chain([main]).map(bounded_def).collect();
    let loader = Loader::new(defs);
    let modules = loader
        .load(&arena, File { code: "__main", path: () })
        .map_err(|_| wrong("it cannot be loaded".to_string()))?;
    let funs = jaq_core::funs::<Kind>().chain(jaq_std::funs()).chain(jaq_json::funs());
    let funs = funs.filter(|(name, ..)| !left_out(name)).chain([step(), times()]);
    Compiler::default().with_funs(funs).compile(modules).map_err(|errors| {
        let undefined = errors.into_iter().flat_map(|(_, errors)| errors).next();
        wrong(match undefined {
            Some((name, _)) => format!("`{name}` is not defined"),
            None => "it cannot be compiled".to_string(),
        })
    })
}

fn near_text(rest: &str) -> String {
    match rest.is_empty() {
        true => "the end".to_string(),
        false => format!("`{}`", rest.chars().take(20).collect::<String>()),
    }
}

/// `__step`: the input, unless the program has to stop.
fn step() -> Fun<Kind> {
    let native = Native::new(|cv| {
        let goes_on = cv.0.data().steps.step();
        box_once(if goes_on { Ok(cv.1) } else { Err(Exn::halt(1)) })
    })
    .with_paths(|cv| {
        let goes_on = cv.0.data().steps.step();
        box_once(if goes_on { Ok(cv.1) } else { Err(Exn::halt(1)) })
    })
    .with_update(|cv, f| if cv.0.data().steps.step() { f(cv.1) } else { box_once(Err(Exn::halt(1))) });
    ("__step", v(0), native)
}

/// `__times($l; $r)`: a product, which for texts is a repetition and could be of any length.
fn times() -> Fun<Kind> {
    let native = Native::new(|mut cv| {
        let right = cv.0.pop_var();
        let left = cv.0.pop_var();
        let length = |value: &Val| jaq_std::ValT::as_bytes(value).map(<[u8]>::len);
        let count = |value: &Val| jaq_std::ValT::as_f64(value).map(|count| count.max(0.0) as usize);
        let bytes = match (length(&left), length(&right)) {
            (Some(bytes), None) => bytes.saturating_mul(count(&right).unwrap_or(0)),
            (None, Some(bytes)) => bytes.saturating_mul(count(&left).unwrap_or(0)),
            _ => 0,
        };
        let fits = cv.0.data().steps.fits(bytes);
        box_once(if fits { (left * right).map_err(Exn::from) } else { Err(Exn::halt(1)) })
    });
    ("__times", v(2), native)
}

type T = Term<&'static str>;

fn call<'s>(name: &'s str, arguments: Vec<Term<&'s str>>) -> Term<&'s str> {
    Term::Call(name, arguments)
}

fn pipe<'s>(left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

/// A definition whose every call is a step.
fn bounded_def(def: Def<&str>) -> Def<&str> {
    Def { name: def.name, args: def.args, body: pipe(call("__step", Vec::new()), bounded(def.body)) }
}

/// A term that takes a step before it runs, unless it yields one value and does nothing.
fn stepped(term: Term<&str>) -> Term<&str> {
    match term {
        Term::Id | Term::Num(_) | Term::Var(_) => term,
        term => pipe(call("__step", Vec::new()), bounded(term)),
    }
}

fn bounded_box(term: Box<Term<&str>>) -> Box<Term<&str>> {
    Box::new(bounded(*term))
}

fn stepped_box(term: Box<Term<&str>>) -> Box<Term<&str>> {
    Box::new(stepped(*term))
}

/// A term in which everything that can run many times takes steps. The last part of a pipe stays last, so that tail
/// calls stay tail calls.
fn bounded(term: Term<&str>) -> Term<&str> {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Var(_) | Term::Break(_) | Term::Arr(None) => term,
        Term::Str(format, parts) => {
            let parts = parts.into_iter().map(|part| match part {
                StrPart::Term(term) => StrPart::Term(stepped(term)),
                part => part,
            });
            Term::Str(format, parts.collect())
        }
        Term::Arr(Some(inner)) => Term::Arr(Some(bounded_box(inner))),
        Term::Obj(entries) => {
            Term::Obj(entries.into_iter().map(|(key, value)| (object_key(key), value.map(stepped))).collect())
        }
        Term::Neg(inner) => Term::Neg(bounded_box(inner)),
        Term::BinOp(left, BinaryOp::Math(Math::Mul), right) => {
            call("__times", vec![stepped(*left), stepped(*right)])
        }
        Term::BinOp(left, BinaryOp::UpdateMath(Math::Mul), right) => {
            let product = call("__times", vec![Term::Id, Term::Var("$__factor")]);
            let update = Term::BinOp(bounded_box(left), BinaryOp::Update, Box::new(product));
            let bind = BinaryOp::Pipe(Some(Pattern::Var("$__factor")));
            Term::BinOp(stepped_box(right), bind, Box::new(update))
        }
        Term::BinOp(left, operator, right) => {
            Term::BinOp(bounded_box(left), bounded_operator(operator), stepped_box(right))
        }
        Term::Label(name, inner) => Term::Label(name, bounded_box(inner)),
        Term::Fold(name, source, pattern, updates) => {
            Term::Fold(name, bounded_box(source), bounded_pattern(pattern), updates.into_iter().map(stepped).collect())
        }
        Term::TryCatch(inner, otherwise) => Term::TryCatch(bounded_box(inner), otherwise.map(stepped_box)),
        Term::IfThenElse(branches, otherwise) => {
            let branches = branches.into_iter().map(|(condition, then)| (bounded(condition), stepped(then)));
            Term::IfThenElse(branches.collect(), otherwise.map(stepped_box))
        }
        Term::Def(defs, inner) => Term::Def(defs.into_iter().map(bounded_def).collect(), bounded_box(inner)),
        // The one builtin that yields any number of values without a definition's help.
        Term::Call("range", arguments) if arguments.len() == 3 => {
            pipe(call("range", arguments.into_iter().map(stepped).collect()), call("__step", Vec::new()))
        }
        Term::Call(name, arguments) => call(name, arguments.into_iter().map(stepped).collect()),
        Term::Path(of, path) => Term::Path(bounded_box(of), bounded_path(path)),
    }
}

/// `{a: 1}` and `{"a"}` are keys by their form; only computed keys can run many times.
fn object_key(key: Term<&str>) -> Term<&str> {
    match key {
        Term::Str(..) | Term::Var(_) | Term::Call(..) => key,
        key => stepped(key),
    }
}

fn bounded_operator<'s>(operator: BinaryOp<&'s str>) -> BinaryOp<&'s str> {
    match operator {
        BinaryOp::Pipe(pattern) => BinaryOp::Pipe(pattern.map(bounded_pattern)),
        operator => operator,
    }
}

fn bounded_pattern(pattern: Pattern<&str>) -> Pattern<&str> {
    match pattern {
        Pattern::Var(name) => Pattern::Var(name),
        Pattern::Arr(patterns) => Pattern::Arr(patterns.into_iter().map(bounded_pattern).collect()),
        Pattern::Obj(entries) => {
            Pattern::Obj(entries.into_iter().map(|(key, value)| (object_key(key), bounded_pattern(value))).collect())
        }
    }
}

fn bounded_path<'s>(path: Path<Term<&'s str>>) -> Path<Term<&'s str>> {
    let parts = path.0.into_iter().map(|(part, optional)| {
        let part = match part {
            Part::Index(index) => Part::Index(path_index(index)),
            Part::Range(from, to) => Part::Range(from.map(stepped), to.map(stepped)),
        };
        (part, optional)
    });
    Path(parts.collect())
}

/// `.name` is an index by a text, which yields once.
fn path_index(index: Term<&str>) -> Term<&str> {
    match index {
        Term::Str(None, parts) if parts.iter().all(|part| !matches!(part, StrPart::Term(_))) => Term::Str(None, parts),
        index => stepped(index),
    }
}

/// Runs on the thread made for it.
fn run(
    program: &Program,
    input: &Value,
    budget: usize,
    depth: usize,
    most_bytes: usize,
) -> Result<(Vec<Value>, usize), Fault> {
    let mark = 0u8;
    let steps = Steps {
        left: budget.into(),
        most_bytes,
        stack: &raw const mark as usize,
        stopped: None.into(),
    };
    let input = match input.as_str() {
        Some(text) => {
            let json: serde_json::Value = serde_json::from_str(text)
                .map_err(|error| Fault::new(format!("`jq` reads a text as JSON, but this is none: {error}")))?;
            to_jq(&values::from_json(json, depth)?, depth)?
        }
        None => to_jq(input, depth)?,
    };
    let context = Ctx::<Kind>::new(Data { lut: &program.lut, steps: &steps }, Vars::new([]));
    let mut items = Vec::new();
    for result in program.id.run((context, input)) {
        if !steps.step() {
            break;
        }
        match result {
            Ok(value) => items.push(from_jq(&value, depth, &steps)?),
            Err(exception) => {
                if let Some(fault) = steps.stopped.take() {
                    return Err(fault);
                }
                let message = exception.get_err().map_or("it was stopped".to_string(), |e: Error<Val>| e.to_string());
                return Err(Fault::new(format!("the `jq` program failed: {message}")));
            }
        }
    }
    match steps.stopped.take() {
        Some(fault) => Err(fault),
        None => Ok((items, budget - steps.left.get())),
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
            Some(Number::Float(number)) if !value.is_integer() => Val::from(number),
            _ => Val::Num(Num::from_str(&value.to_string())),
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
        return Err(steps.stopped.take().unwrap_or_else(too_deep));
    }
    let Some(below) = depth.checked_sub(1) else { return Err(too_deep()) };
    Ok(match value {
        Val::Null => values::null(),
        Val::Bool(flag) => Value::from(*flag),
        Val::Num(number) => number_from_jq(number),
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

fn number_from_jq(number: &Num) -> Value {
    let text = number.to_string();
    match (text.parse::<i64>(), text.parse::<i128>()) {
        (Ok(number), _) => Value::from(number),
        (_, Ok(number)) => Value::from(number),
        _ => Value::from(number.as_f64()),
    }
}
