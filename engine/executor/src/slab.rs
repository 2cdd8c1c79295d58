//! Storage with small ids that are used again.

use std::marker::PhantomData;

/// The place of a `T` in its [`Slab`].
pub(crate) struct Id<T>(u32, PhantomData<fn() -> T>);

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Id<T> {}

impl<T> std::fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Things that come and go; an id whose thing has gone finds nothing, or what took its place.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub fn insert(&mut self, item: T) -> Id<T> {
        let index = match self.free.pop() {
            Some(index) => {
                self.items[index as usize] = Some(item);
                index
            }
            None => {
                self.items.push(Some(item));
                (self.items.len() - 1) as u32
            }
        };
        Id(index, PhantomData)
    }

    pub fn remove(&mut self, id: Id<T>) -> Option<T> {
        let item = self.items.get_mut(id.0 as usize)?.take();
        if item.is_some() {
            self.free.push(id.0);
        }
        item
    }

    pub fn get(&self, id: Id<T>) -> Option<&T> {
        self.items.get(id.0 as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        self.items.get_mut(id.0 as usize)?.as_mut()
    }

    pub fn ids(&self) -> Vec<Id<T>> {
        let taken = self.items.iter().enumerate().filter(|(_, item)| item.is_some());
        taken.map(|(index, _)| Id(index as u32, PhantomData)).collect()
    }
}
