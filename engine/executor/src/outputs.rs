//! Values that grow with the execution (`outputs`, `tasks`) as expressions see them.
//!
//! Every request carries them as they were when it was made. A [`SharedMap`] makes that cheap: a copy shares all nodes
//! with its original, a change copies the few nodes on the way to what changes.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object};
use weft_expr::Value;

const BITS: u32 = 4;
const FAN_OUT: usize = 1 << BITS;

/// A map from text that is cheap to copy (a hash tree with shared nodes). Entries are listed by the rank that they are
/// given when they are made.
#[derive(Debug, Clone)]
pub(crate) struct SharedMap<T> {
    root: Option<Arc<Node<T>>>,
}

#[derive(Debug, Clone)]
enum Node<T> {
    Inner([Option<Arc<Node<T>>>; FAN_OUT]),
    /// Entries whose hashes are all the same.
    Leaf {
        hash: u64,
        entries: Vec<Entry<T>>,
    },
}

#[derive(Debug, Clone)]
struct Entry<T> {
    key: Arc<str>,
    rank: usize,
    value: T,
}

impl<T> Default for SharedMap<T> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<T: Clone> SharedMap<T> {
    pub fn get(&self, key: &str) -> Option<&T> {
        let hash = hash(key);
        let mut node = self.root.as_deref()?;
        let mut shift = 0;
        loop {
            match node {
                Node::Inner(children) => node = children[child(hash, shift)].as_deref()?,
                Node::Leaf { entries, .. } => {
                    return entries.iter().find(|entry| &*entry.key == key).map(|entry| &entry.value);
                }
            }
            shift += BITS;
        }
    }

    /// The value of a key, made first if it is not there.
    pub fn entry(&mut self, key: &str, rank: usize, make: impl FnOnce() -> T) -> &mut T {
        entry_in(&mut self.root, hash(key), 0, key, rank, make)
    }

    /// All entries, by rank.
    fn entries(&self) -> Vec<&Entry<T>> {
        let mut found = Vec::new();
        let mut nodes: Vec<&Node<T>> = self.root.as_deref().into_iter().collect();
        while let Some(node) = nodes.pop() {
            match node {
                Node::Inner(children) => nodes.extend(children.iter().flatten().map(|child| &**child)),
                Node::Leaf { entries, .. } => found.extend(entries),
            }
        }
        found.sort_by_key(|entry| entry.rank);
        found
    }
}

fn entry_in<'a, T: Clone>(
    node: &'a mut Option<Arc<Node<T>>>,
    hash: u64,
    shift: u32,
    key: &str,
    rank: usize,
    make: impl FnOnce() -> T,
) -> &'a mut T {
    if let Some(other) =
        node.take_if(|node| matches!(**node, Node::Leaf { hash: other, .. } if other != hash))
    {
        let Node::Leaf { hash: other_hash, .. } = *other else { unreachable!("only leaves are taken") };
        let mut children = [const { None }; FAN_OUT];
        children[child(other_hash, shift)] = Some(other);
        *node = Some(Arc::new(Node::Inner(children)));
    }
    let node = node.get_or_insert_with(|| Arc::new(Node::Leaf { hash, entries: Vec::new() }));
    match Arc::make_mut(node) {
        Node::Inner(children) => {
            entry_in(&mut children[child(hash, shift)], hash, shift + BITS, key, rank, make)
        }
        Node::Leaf { entries, .. } => {
            let index = entries.iter().position(|entry| &*entry.key == key).unwrap_or_else(|| {
                entries.push(Entry { key: key.into(), rank, value: make() });
                entries.len() - 1
            });
            &mut entries[index].value
        }
    }
}

fn child(hash: u64, shift: u32) -> usize {
    ((hash >> shift) as usize) % FAN_OUT
}

/// FNV-1a, its high bits folded in: the tree reads the low bits first.
fn hash(key: &str) -> u64 {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash ^ (hash >> 32)
}

/// Values by task id and, for tasks in loops, by the loops' values, outermost first.
#[derive(Debug, Clone)]
pub(crate) enum Tree {
    Value(Value),
    Branch(SharedMap<Tree>),
}

/// Puts a value at a path of at least one key. `rank` orders keys that are new.
pub(crate) fn put<'a>(
    map: &mut SharedMap<Tree>,
    key: &'a str,
    rest: impl IntoIterator<Item = &'a str>,
    rank: usize,
    value: Value,
) {
    let mut slot = map.entry(key, rank, || Tree::Branch(SharedMap::default()));
    for key in rest {
        if let Tree::Value(_) = slot {
            *slot = Tree::Branch(SharedMap::default());
        }
        let Tree::Branch(map) = slot else { return };
        slot = map.entry(key, rank, || Tree::Branch(SharedMap::default()));
    }
    *slot = Tree::Value(value);
}

/// The map as a value for expressions.
pub(crate) fn as_value(map: &SharedMap<Tree>) -> Value {
    Value::from_object(View(map.clone()))
}

#[derive(Debug)]
struct View(SharedMap<Tree>);

impl Object for View {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        Some(match self.0.get(key)? {
            Tree::Value(value) => value.clone(),
            Tree::Branch(map) => as_value(map),
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(
            self.0.entries().into_iter().map(|entry| Value::from(Arc::clone(&entry.key))).collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_and_listed_by_rank() {
        let mut map = SharedMap::default();
        for number in (0..2000).rev() {
            *map.entry(&format!("key{number}"), number, || 0) = number;
        }
        for number in 0..2000 {
            assert_eq!(map.get(&format!("key{number}")), Some(&number));
        }
        assert_eq!(map.get("key2000"), None);
        assert!(map.entries().into_iter().map(|entry| entry.value).eq(0..2000));
    }

    #[test]
    fn copies_do_not_see_later_changes() {
        let mut map = SharedMap::default();
        put(&mut map, "a", [], 0, Value::from(1));
        let before = map.clone();
        put(&mut map, "a", [], 0, Value::from(2));
        put(&mut map, "b", ["x", "y"], 1, Value::from(3));
        put(&mut map, "b", ["x", "z"], 2, Value::from(4));
        assert_eq!(serde_json::to_string(&as_value(&before)).unwrap(), r#"{"a":1}"#);
        let after = as_value(&map);
        assert_eq!(serde_json::to_string(&after).unwrap(), r#"{"a":2,"b":{"x":{"y":3,"z":4}}}"#);
        assert_eq!(
            after.get_attr("b").unwrap().get_attr("x").unwrap().get_attr("y").unwrap(),
            Value::from(3)
        );
        assert!(after.get_attr("c").unwrap().is_undefined());
    }
}
