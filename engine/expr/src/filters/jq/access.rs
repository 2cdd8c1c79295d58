//! How programs read and change parts of values, as jq 1.6 does: what is assigned to need not be there yet.

use std::cell::Cell;
use std::mem;

use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Error, Exn, ValX};
use jaq_json::{Num, Rc, Val};

use super::json::{Json, JsonR};

/// Nulls that a program may fill lists with, to assign behind their ends.
const MOST_NULLS: usize = 1_000_000;

thread_local! {
    /// Nulls that the program has filled lists with. A program has its thread to itself, and values know no program.
    static NULLS: Cell<usize> = const { Cell::new(0) };
}

impl Json {
    /// The bounds of a slice, as integers: the first part of a broken element is in it.
    fn bounds(range: Range<&Self>) -> Result<Range<Val>, Error<Self>> {
        let bound = |bound: Option<&Self>, round: fn(f64) -> f64| match bound.map(|bound| &bound.0) {
            None | Some(Val::Null) => Ok(None),
            Some(Val::Num(Num::Float(float))) => Ok(Some(Val::from(round(*float) as isize))),
            Some(Val::Num(number)) => Ok(Some(Val::Num(number.clone()))),
            Some(other) => Err(Error::typ(Self(other.clone()), "bound of a slice")),
        };
        Ok(bound(range.start, f64::floor)?..bound(range.end, f64::ceil)?)
    }

    /// The bounds that a map with `start` and `end` says.
    fn bounds_in(map: &jaq_json::Map) -> Range<Self> {
        let bound = |name: &str| map.get(&Val::utf8_str(name.to_string())).cloned().map(Self);
        bound("start")..bound("end")
    }

    /// Where in a list an index points to; beyond its end is possible. Before its beginning is `None`.
    fn position(index: &Num, length: usize) -> Option<usize> {
        let index = match index {
            Num::Float(float) => float.floor() as isize,
            number => number.as_isize().unwrap_or(isize::MAX),
        };
        match usize::try_from(index) {
            Ok(index) => Some(index),
            Err(_) => length.checked_sub(index.unsigned_abs()),
        }
    }
}

/// The first value of an update, which is what counts.
fn first<'a>(mut values: impl Iterator<Item = ValX<'a, Json>>) -> Result<Option<Val>, Exn<'a, Json>> {
    Ok(values.next().transpose()?.map(|value| value.0))
}

/// Sets an element of a list that may be too short for it.
fn set(items: &mut Vec<Val>, index: usize, value: Val) -> Result<(), Error<Json>> {
    let nulls = index.saturating_sub(items.len());
    let used = NULLS.get().saturating_add(nulls);
    if used > MOST_NULLS {
        return Err(Error::str("this assigns too far behind the end of a list"));
    }
    NULLS.set(used);
    if index >= items.len() {
        items.resize(index + 1, Val::Null);
    }
    items[index] = value;
    Ok(())
}

impl jaq_core::ValT for Json {
    fn from_num(text: &str) -> JsonR {
        if let Some(integer) = Num::from_str_radix(text, 10) {
            return Ok(Self(Val::Num(integer)));
        }
        let float: Result<f64, _> = text.parse();
        float.map(Self::from).map_err(|_| Error::str(format_args!("{text} is not a number")))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(entries: I) -> JsonR {
        let entries = entries.into_iter().map(|(key, value)| match key.0 {
            Val::TStr(_) => Ok((key.0, value.0)),
            _ => Err(Error::typ(key, "key of a map")),
        });
        Ok(Self(Val::obj(entries.collect::<Result<_, Error<Self>>>()?)))
    }

    fn key_values(self) -> BoxIter<'static, Result<(Self, Self), Error<Self>>> {
        match self.0 {
            Val::Arr(items) => {
                let items = Rc::unwrap_or_clone(items).into_iter().enumerate();
                Box::new(items.map(|(index, item)| Ok((Self::from(index), Self(item)))))
            }
            Val::Obj(map) => {
                Box::new(Rc::unwrap_or_clone(map).into_iter().map(|(key, item)| Ok((Self(key), Self(item)))))
            }
            value => box_once(Err(Error::typ(Self(value), "list or map"))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = JsonR>> {
        match self.0 {
            Val::Arr(items) => Box::new(Rc::unwrap_or_clone(items).into_iter().map(|item| Ok(Self(item)))),
            Val::Obj(map) => Box::new(Rc::unwrap_or_clone(map).into_iter().map(|(_, item)| Ok(Self(item)))),
            value => box_once(Err(Error::typ(Self(value), "list or map"))),
        }
    }

    fn index(self, index: &Self) -> JsonR {
        match (&self.0, &index.0) {
            (Val::Null, _) => Ok(self),
            (Val::Arr(items), Val::Num(number)) => {
                let item = Self::position(number, items.len()).and_then(|index| items.get(index));
                Ok(Self(item.cloned().unwrap_or_default()))
            }
            (Val::Obj(map), Val::TStr(_)) => Ok(Self(map.get(&index.0).cloned().unwrap_or_default())),
            (Val::Arr(_) | Val::TStr(_), Val::Obj(map)) => {
                let range = Self::bounds_in(map);
                self.range(range.start.as_ref()..range.end.as_ref())
            }
            _ => Err(Error::index(self, index.clone())),
        }
    }

    fn range(self, range: Range<&Self>) -> JsonR {
        match &self.0 {
            Val::Null => Ok(self),
            Val::Arr(_) | Val::TStr(_) => {
                let bounds = Self::bounds(range)?;
                let slice = jaq_core::ValT::range(self.0, bounds.start.as_ref()..bounds.end.as_ref());
                slice.map(Self).map_err(|error| Error::new(Self(error.into_val())))
            }
            _ => Err(Error::typ(self, "list or text")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match self.0 {
            Val::Arr(items) => {
                let items = Rc::unwrap_or_clone(items).into_iter();
                let items = items.filter_map(|item| first(f(Self(item))).transpose());
                Ok(Self(items.collect::<Result<_, Exn<'a, Self>>>()?))
            }
            Val::Obj(map) => {
                let entries = Rc::unwrap_or_clone(map).into_iter().filter_map(|(key, item)| {
                    first(f(Self(item))).map(|item| item.map(|item| (key, item))).transpose()
                });
                Ok(Self(Val::obj(entries.collect::<Result<_, Exn<'a, Self>>>()?)))
            }
            value => opt.fail(Self(value), |value| Exn::from(Error::typ(value, "list or map"))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        mut self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match (&mut self.0, &index.0) {
            (Val::Null, Val::TStr(_)) => {
                let value = first(f(self))?;
                let entry = value.map(|value| (index.0.clone(), value));
                Ok(Self(entry.map_or(Val::Null, |entry| Val::obj([entry].into_iter().collect()))))
            }
            (Val::Null, Val::Num(_)) => Self(Val::Arr(Rc::default())).map_index(index, opt, f),
            (Val::Null | Val::Arr(_), Val::Obj(map)) => {
                let range = Self::bounds_in(map);
                self.map_range(range.start.as_ref()..range.end.as_ref(), opt, f)
            }
            (Val::Obj(map), Val::TStr(_)) => {
                let map = Rc::make_mut(map);
                let old = map.get_mut(&index.0).map(mem::take).unwrap_or_default();
                match first(f(Self(old)))? {
                    Some(value) => map.insert(index.0.clone(), value),
                    None => map.shift_remove(&index.0),
                };
                Ok(self)
            }
            (Val::Arr(items), Val::Num(number)) => {
                let Some(at) = Self::position(number, items.len()) else {
                    let error =
                        || Error::str(format_args!("index {index} is before the beginning of the list"));
                    return opt.fail(self, |_| Exn::from(error()));
                };
                let items = Rc::make_mut(items);
                let old = items.get_mut(at).map(mem::take).unwrap_or_default();
                match first(f(Self(old)))? {
                    Some(value) => set(items, at, value)?,
                    None if at < items.len() => drop(items.remove(at)),
                    None => {}
                }
                Ok(self)
            }
            _ => opt.fail(self, |value| Exn::from(Error::index(value, index.clone()))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        mut self,
        range: Range<&Self>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        if !matches!(self.0, Val::Null | Val::Arr(_)) {
            return opt.fail(self, |value| Exn::from(Error::typ(value, "list")));
        }
        let bounds = Self::bounds(range)?;
        let length = if let Val::Arr(items) = &self.0 { items.len() } else { 0 };
        let place = |bound: Option<Val>, otherwise| match bound {
            Some(Val::Num(number)) => Self::position(&number, length).unwrap_or(0).min(length),
            _ => otherwise,
        };
        let from = place(bounds.start, 0);
        let to = place(bounds.end, length).max(from);
        let slice = match &self.0 {
            Val::Arr(items) => items[from..to].iter().cloned().collect(),
            _ => Val::Null,
        };
        let new = match first(f(Self(slice)))? {
            Some(Val::Arr(new)) => Rc::unwrap_or_clone(new),
            None if matches!(self.0, Val::Null) => return Ok(self),
            None => Vec::new(),
            Some(other) => return Err(Exn::from(Error::typ(Self(other), "list"))),
        };
        if matches!(self.0, Val::Null) {
            return Ok(Self(new.into_iter().collect()));
        }
        if let Val::Arr(items) = &mut self.0 {
            Rc::make_mut(items).splice(from..to, new);
        }
        Ok(self)
    }

    fn as_bool(&self) -> bool {
        !matches!(self.0, Val::Null | Val::Bool(false))
    }

    fn into_string(self) -> Self {
        match self.0 {
            Val::TStr(_) => self,
            _ => Self::from(self.to_json()),
        }
    }
}

impl jaq_std::ValT for Json {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        Ok(self.into_items()?.into_iter().map(Self).collect())
    }

    fn is_int(&self) -> bool {
        self.0.is_int()
    }

    fn as_isize(&self) -> Option<isize> {
        self.0.as_isize()
    }

    fn as_f64(&self) -> Option<f64> {
        self.0.as_f64()
    }

    fn is_utf8_str(&self) -> bool {
        self.0.is_utf8_str()
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        self.0.as_bytes()
    }

    fn as_sub_str(&self, sub: &[u8]) -> Self {
        Self(self.0.as_sub_str(sub))
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self(Val::from_utf8_bytes(bytes))
    }
}
