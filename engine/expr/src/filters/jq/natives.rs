//! Builtins that are no definitions and look into values: those of `jaq_json`, which takes its own type of values
//! only, and those that jq defines otherwise than jaq.

use jaq_core::box_iter::box_once;
use jaq_core::native::{Fun, bome, v};
use jaq_core::ops::Math;
use jaq_core::path::Opt;
use jaq_core::{Cv, Error, Exn, Native, ValT as _, ValX, ValXs};
use jaq_json::{Rc, Val};
use jaq_std::ValT as _;

use super::json::{Json, JsonR};
use super::steps::{Kind, Steps};

/// All of them.
pub(super) fn natives() -> impl Iterator<Item = Fun<Kind>> {
    [
        ("__delete", v(1), Native::<Kind>::new(delete)),
        ("bsearch", v(1), Native::<Kind>::new(|cv| argued(cv, |input, item, _| bsearch(input, &item)))),
        (
            "contains",
            v(1),
            Native::<Kind>::new(|cv| argued(cv, |l, r, steps| Ok(contains(&l.0, &r.0, steps).into()))),
        ),
        ("fromjson", v(0), Native::<Kind>::new(|cv| bome(from_json(&cv.1)))),
        ("from_entries", v(0), Native::<Kind>::new(|cv| box_once(from_entries(cv)))),
        ("has", v(1), Native::<Kind>::new(|cv| argued(cv, |input, key, _| has(input, key)))),
        ("indices", v(1), Native::<Kind>::new(|cv| argued(cv, |input, part, _| indices(input, part)))),
        ("infinite", v(0), Native::<Kind>::new(|_| bome(Ok(Json::from(f64::INFINITY))))),
        ("join", v(1), Native::<Kind>::new(|cv| argued(cv, join))),
        ("length", v(0), Native::<Kind>::new(|cv| bome(length(cv.1)))),
        ("nan", v(0), Native::<Kind>::new(|_| bome(Ok(Json::from(f64::NAN))))),
        ("now", v(0), Native::<Kind>::new(now)),
        ("tojson", v(0), Native::<Kind>::new(|cv| bome(Ok(Json::from(cv.1.to_json()))))),
    ]
    .into_iter()
}

/// Calls a builtin with its argument. It yields nothing if the program has to stop meanwhile.
fn argued<'a>(mut cv: Cv<'a, Kind>, builtin: fn(Json, Json, &Steps) -> JsonR) -> ValXs<'a, Json> {
    let argument = cv.0.pop_var();
    let steps = cv.0.data().steps;
    let result = builtin(cv.1, argument, steps).map_err(Exn::from);
    let result = if steps.stopped() { Err(Exn::halt(1)) } else { result };
    box_once(result)
}

fn length(value: Json) -> JsonR {
    match &value.0 {
        Val::Null => Ok(Json::from(0_usize)),
        Val::TStr(bytes) | Val::BStr(bytes) => Ok(Json::from(String::from_utf8_lossy(bytes).chars().count())),
        Val::Arr(items) => Ok(Json::from(items.len())),
        Val::Obj(map) => Ok(Json::from(map.len())),
        Val::Num(_) if value < Json::from(0_isize) => -value,
        Val::Num(_) => Ok(value),
        Val::Bool(_) => Err(Error::str(format_args!("{value} has no length"))),
    }
}

fn has(value: Json, key: Json) -> JsonR {
    match (&value.0, &key.0) {
        (Val::Obj(map), Val::TStr(_)) => Ok(map.contains_key(&key.0).into()),
        (Val::Arr(items), Val::Num(_)) => {
            let index = key.as_f64().unwrap_or(-1.0);
            Ok((index >= 0.0 && index < items.len() as f64).into())
        }
        _ => Err(Error::str(format_args!("cannot check whether {value} has the key {key}"))),
    }
}

/// Whether a value has all that another has. Every part that is looked at is a step.
fn contains(value: &Val, part: &Val, steps: &Steps) -> bool {
    if !steps.step() {
        return false;
    }
    match (value, part) {
        (Val::TStr(value), Val::TStr(part)) => {
            String::from_utf8_lossy(value).contains(&*String::from_utf8_lossy(part))
        }
        (Val::Arr(value), Val::Arr(part)) => {
            part.iter().all(|part| value.iter().any(|value| contains(value, part, steps)))
        }
        (Val::Obj(value), Val::Obj(part)) => {
            part.iter().all(|(key, part)| value.get(key).is_some_and(|value| contains(value, part, steps)))
        }
        _ => value == part,
    }
}

/// Where a text or list has another, or a list has an element. Texts are counted in characters.
fn indices(value: Json, part: Json) -> JsonR {
    let found: Vec<usize> = match (&value.0, &part.0) {
        (Val::Null, _) => return Ok(value),
        (Val::TStr(text), Val::TStr(part)) if !part.is_empty() => {
            let (text, part) = (String::from_utf8_lossy(text), String::from_utf8_lossy(part));
            let starts = text.char_indices().enumerate();
            starts.filter(|(_, (at, _))| text[*at..].starts_with(&*part)).map(|(index, _)| index).collect()
        }
        (Val::Arr(items), Val::Arr(part)) if !part.is_empty() => {
            let windows = items.windows(part.len()).enumerate();
            windows.filter(|(_, window)| *window == part.as_slice()).map(|(index, _)| index).collect()
        }
        (Val::TStr(_), Val::TStr(_)) | (Val::Arr(_), Val::Arr(_)) => return Ok(Json(Val::Null)),
        (Val::Arr(items), part) => {
            items.iter().enumerate().filter(|(_, item)| *item == part).map(|(index, _)| index).collect()
        }
        _ => return Err(Error::index(value, part)),
    };
    Ok(found.into_iter().map(Json::from).collect())
}

fn bsearch(value: Json, item: &Json) -> JsonR {
    let items = value.into_items().map_err(|value| Error::typ(value, "list"))?;
    let found = items.binary_search(&item.0).map_or_else(|at| -1 - at as isize, |at| at as isize);
    Ok(Json::from(found))
}

fn from_json(value: &Json) -> JsonR {
    let bytes = value.as_bytes().ok_or_else(|| Error::typ(value.clone(), "text"))?;
    let parsed: Result<Val, _> = serde_json::from_slice(bytes);
    match parsed {
        Ok(parsed) => Ok(whole(parsed)),
        Err(_) if bytes == b"nan" => Ok(Json::from(f64::NAN)),
        Err(error) => Err(Error::str(format_args!("cannot parse {value} as JSON: {error}"))),
    }
}

/// A value that was read, with integers for whole numbers.
fn whole(value: Val) -> Json {
    match value {
        Val::Arr(items) => Rc::unwrap_or_clone(items).into_iter().map(whole).collect(),
        Val::Obj(map) => {
            let entries = Rc::unwrap_or_clone(map).into_iter().map(|(key, value)| (key, whole(value).0));
            Json(Val::obj(entries.collect()))
        }
        Val::Num(number) => {
            let text = number.to_string();
            jaq_core::ValT::from_num(&text).unwrap_or(Json(Val::Num(number)))
        }
        value => Json(value),
    }
}

/// A map of a list of maps with a key and a value, which have several names.
fn from_entries(cv: Cv<'_, Kind>) -> ValX<'_, Json> {
    let entry = |item: JsonR| {
        let item = item?;
        if !cv.0.data().steps.step() {
            return Err(Exn::halt(1));
        }
        let Val::Obj(entry) = &item.0 else {
            return Err(Exn::from(Error::index(item, Json::from("key".to_string()))));
        };
        let named = |name: &str| entry.get(&Val::utf8_str(name.to_string()));
        let key = named("key").filter(|key| !matches!(key, Val::Null)).or_else(|| {
            let mut others = ["k", "name", "Name", "K", "Key"].into_iter().filter_map(named);
            others.find(|key| !matches!(key, Val::Null | Val::Bool(false)))
        });
        let value = ["value", "v", "Value"].into_iter().find_map(named);
        let key = match key.cloned().unwrap_or_default() {
            key @ (Val::Arr(_) | Val::Obj(_)) => {
                return Err(Exn::from(Error::typ(Json(key), "key of a map")));
            }
            key => Json(key).into_string(),
        };
        Ok((key.0, value.cloned().unwrap_or_default()))
    };
    Ok(Json(Val::obj(cv.1.values().map(entry).collect::<Result<_, Exn<'_, Json>>>()?)))
}

/// Texts, numbers and flags with a text between them; null is nothing.
fn join(value: Json, separator: Json, steps: &Steps) -> JsonR {
    let mut text = String::new();
    for (index, item) in value.values().enumerate() {
        let item = item?;
        match &separator.0 {
            _ if index == 0 => {}
            Val::Null => {}
            Val::TStr(between) => text.push_str(&String::from_utf8_lossy(between)),
            _ => return Err(Error::math(Json::from(text), Math::Add, separator)),
        }
        match &item.0 {
            Val::Null => {}
            Val::TStr(part) => text.push_str(&String::from_utf8_lossy(part)),
            Val::Bool(_) | Val::Num(_) => text.push_str(&item.to_json()),
            _ => return Err(Error::math(Json::from(text), Math::Add, item)),
        }
        if !(steps.step() && steps.fits(text.len())) {
            break;
        }
    }
    Ok(Json::from(text))
}

/// `__delete($paths)`: the input without what is at the paths, which are sorted. From the last to the first, for an
/// element that is gone moves those behind it.
fn delete(mut cv: Cv<'_, Kind>) -> ValXs<'_, Json> {
    let paths = cv.0.pop_var();
    let steps = cv.0.data().steps;
    let all = || {
        let mut value = cv.1;
        for path in paths.into_items().map_err(|paths| Error::typ(paths, "list"))?.into_iter().rev() {
            let path = Json(path).into_items().map_err(|path| Error::typ(path, "path"))?;
            value = without(value, &path, steps)?;
        }
        Ok(value)
    };
    box_once(all())
}

fn without<'a>(value: Json, path: &[Val], steps: &Steps) -> ValX<'a, Json> {
    if !steps.step_with(&value.0) {
        return Err(Exn::halt(1));
    }
    let Some((index, below)) = path.split_first() else { return Ok(Json(Val::Null)) };
    let index = Json(index.clone());
    // Parents that are not there are not made.
    if !below.is_empty() && matches!(value.clone().index(&index)?.0, Val::Null) {
        return Ok(value);
    }
    // An update that yields nothing deletes.
    let rest = |part| (!below.is_empty()).then(|| without(part, below, steps)).into_iter();
    value.map_index(&index, Opt::Essential, rest)
}

fn now(cv: Cv<'_, Kind>) -> ValXs<'_, Json> {
    let now = cv.0.data().now.map(Json::from);
    bome(now.ok_or_else(|| Error::str("the time is not known here")))
}
