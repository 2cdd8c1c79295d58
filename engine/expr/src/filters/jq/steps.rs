//! What a program of jq may use, and the builtins that watch over it.

use std::cell::{Cell, RefCell};

use jaq_core::box_iter::box_once;
use jaq_core::native::{Fun, v};
use jaq_core::{DataT, Exn, Native};
use jaq_json::Val;

use super::json::Json;
use crate::error::Fault;
use crate::text;

/// What of the thread's stack a program may use; the rest is for values to be dropped, which recurses as well.
const STACK_FOR_STEPS: usize = super::STACK / 4;
/// Bytes of a value that cost one step more: builtins copy or read them all.
const BYTES_PER_STEP: usize = 64 * 1024;

/// Names that the rewritten program has and that no program may define.
pub(super) const RESERVED: [&str; 7] =
    ["__main", "__step", "__measured", "__fits", "__times", "__operand", "__delete"];

/// The program's state that its natives see.
pub(super) struct Steps {
    left: Cell<usize>,
    most_bytes: usize,
    /// An address on the stack where the program began.
    stack: usize,
    /// Why the program was stopped.
    stopped: RefCell<Option<Fault>>,
}

impl Steps {
    /// To be made on the thread that the program runs on, before it begins.
    pub fn new(budget: usize, most_bytes: usize) -> Self {
        let mark = 0u8;
        Self {
            left: Cell::new(budget),
            most_bytes,
            stack: &raw const mark as usize,
            stopped: RefCell::new(None),
        }
    }

    pub fn left(&self) -> usize {
        self.left.get()
    }

    /// Why the program was stopped, if it was.
    pub fn take_fault(&self) -> Option<Fault> {
        self.stopped.take()
    }

    /// Whether the program has to stop.
    pub fn stopped(&self) -> bool {
        self.stopped.borrow().is_some()
    }

    fn stop(&self, fault: Fault) -> bool {
        self.stopped.replace(Some(fault));
        false
    }

    /// Takes a step, unless the program has to stop.
    pub fn step(&self) -> bool {
        self.take(1)
    }

    /// Takes the steps that looking at a value costs.
    pub fn step_with(&self, value: &Val) -> bool {
        self.take(1 + size(value) / BYTES_PER_STEP)
    }

    /// Takes so many steps, unless the program has to stop.
    pub fn take(&self, steps: usize) -> bool {
        let here = 0u8;
        let used = (&raw const here as usize).abs_diff(self.stack);
        if used > STACK_FOR_STEPS {
            return self.stop(Fault::new("the `jq` program is nested too deep"));
        }
        match self.left.get().checked_sub(steps) {
            Some(left) => {
                self.left.set(left);
                true
            }
            None => self.stop(Fault::new("the `jq` program took too many steps")),
        }
    }

    /// Whether something of so many bytes may be made.
    pub fn fits(&self, bytes: usize) -> bool {
        bytes <= self.most_bytes || self.stop(text::too_long(self.most_bytes))
    }
}

/// What builtins can ask for.
#[derive(Clone)]
pub(super) struct Data<'a> {
    pub lut: &'a jaq_core::Lut<Kind>,
    pub steps: &'a Steps,
    /// Seconds since 1970, for programs that ask for them.
    pub now: Option<f64>,
}

/// The types of a program: our [`Json`], and [`Data`].
pub(super) struct Kind;

impl DataT for Kind {
    type V<'a> = Json;
    type Data<'a> = Data<'a>;
}

impl<'a> jaq_core::data::HasLut<'a, Kind> for Data<'a> {
    fn lut(&self) -> &'a jaq_core::Lut<Kind> {
        self.lut
    }
}

/// The builtins that the rewritten program calls.
pub(super) fn natives() -> impl Iterator<Item = Fun<Kind>> {
    [step(), measured(), fits(), times()].into_iter()
}

/// `__step`: the input, unless the program has to stop.
fn step() -> Fun<Kind> {
    let native = Native::<Kind>::new(|cv| {
        let goes_on = cv.0.data().steps.step_with(&cv.1.0);
        box_once(if goes_on { Ok(cv.1) } else { Err(Exn::halt(1)) })
    })
    .with_paths(|cv| {
        let goes_on = cv.0.data().steps.step_with(&cv.1.0.0);
        box_once(if goes_on { Ok(cv.1) } else { Err(Exn::halt(1)) })
    })
    .with_update(|cv, f| {
        let goes_on = cv.0.data().steps.step_with(&cv.1.0);
        if goes_on { f(cv.1) } else { box_once(Err(Exn::halt(1))) }
    });
    ("__step", v(0), native)
}

/// `__measured`: the input, paid for by its size. A program can make a value of a few parts that are shared so often
/// that whatever looks at all of it never ends.
fn measured() -> Fun<Kind> {
    let native = Native::<Kind>::new(|cv| {
        let fits = measure(&cv.1.0, cv.0.data().steps);
        box_once(if fits { Ok(cv.1) } else { Err(Exn::halt(1)) })
    });
    ("__measured", v(0), native)
}

pub(super) fn measure(value: &Val, steps: &Steps) -> bool {
    match value {
        Val::Arr(items) => steps.step() && items.iter().all(|item| measure(item, steps)),
        Val::Obj(map) => steps.step() && map.values().all(|item| measure(item, steps)),
        value => size(value) < BYTES_PER_STEP || steps.step_with(value),
    }
}

/// `__fits`: the input, which is a sum: it can be twice as large as what it was made of.
fn fits() -> Fun<Kind> {
    let native = Native::<Kind>::new(|cv| {
        let steps = cv.0.data().steps;
        let fits = steps.fits(size(&cv.1.0)) && steps.step_with(&cv.1.0);
        box_once(if fits { Ok(cv.1) } else { Err(Exn::halt(1)) })
    });
    ("__fits", v(0), native)
}

/// `__times($l; $r)`: a product, which for texts is a repetition and could be of any length.
fn times() -> Fun<Kind> {
    let native = Native::<Kind>::new(|mut cv| {
        let (right, left) = (cv.0.pop_var(), cv.0.pop_var());
        let count = |value: &Json| jaq_std::ValT::as_f64(value).map(|count| count.max(0.0) as usize);
        let bytes = match (count(&left), count(&right)) {
            (Some(_), Some(_)) => 0,
            (Some(count), None) => size(&right.0).saturating_mul(count),
            (None, Some(count)) => size(&left.0).saturating_mul(count),
            (None, None) => 0,
        };
        let steps = cv.0.data().steps;
        let fits = steps.fits(bytes) && measure(&left.0, steps) && measure(&right.0, steps);
        box_once(if fits { (left * right).map_err(Exn::from) } else { Err(Exn::halt(1)) })
    });
    ("__times", v(2), native)
}

/// Bytes that a value takes itself, without what its parts refer to.
fn size(value: &Val) -> usize {
    match value {
        Val::TStr(bytes) | Val::BStr(bytes) => bytes.len(),
        Val::Arr(items) => items.len() * size_of::<Val>(),
        Val::Obj(map) => map.len() * size_of::<Val>() * 2,
        _ => 0,
    }
}
