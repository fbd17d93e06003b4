//! A table of open joins: found by slot, listed by age.
//!
//! Slots are used again with the memory that their values keep, so that joins which come and go allocate nothing.

/// Where a value is.
pub(super) type Slot = u32;

/// No slot.
pub(super) const NONE: Slot = Slot::MAX;

/// Values in slots; `T` is made once per slot, then used again.
#[derive(Debug)]
pub(super) struct Table<T> {
    entries: Vec<Entry<T>>,
    free: Vec<Slot>,
    oldest: Slot,
    newest: Slot,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    older: Slot,
    newer: Slot,
    used: bool,
}

impl<T: Default> Table<T> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE }
    }

    /// Takes a slot, whose value is as it was left.
    pub(super) fn take(&mut self) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            let entry = Entry { value: T::default(), older: NONE, newer: NONE, used: false };
            self.entries.push(entry);
            (self.entries.len() - 1) as Slot
        });
        let newest = std::mem::replace(&mut self.newest, slot);
        if let Some(entry) = self.entries.get_mut(newest as usize) {
            entry.newer = slot;
        } else {
            self.oldest = slot;
        }
        if let Some(entry) = self.entries.get_mut(slot as usize) {
            (entry.older, entry.newer, entry.used) = (newest, NONE, true);
        }
        slot
    }

    /// Gives a slot back.
    pub(super) fn give(&mut self, slot: Slot) {
        let Some(entry) = self.entries.get_mut(slot as usize).filter(|entry| entry.used) else { return };
        entry.used = false;
        let (older, newer) = (entry.older, entry.newer);
        match self.entries.get_mut(older as usize) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
        match self.entries.get_mut(newer as usize) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
        self.free.push(slot);
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        self.entries.get(slot as usize).filter(|entry| entry.used).map(|entry| &entry.value)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.entries.get_mut(slot as usize).filter(|entry| entry.used).map(|entry| &mut entry.value)
    }

    /// How many slots are taken.
    pub(super) const fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// How many slots were ever taken at once.
    pub(super) const fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// The slot that was taken first.
    pub(super) const fn oldest(&self) -> Slot {
        self.oldest
    }

    /// The slots taken and their values, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        let mut slot = self.oldest;
        std::iter::from_fn(move || {
            let entry = self.entries.get(slot as usize)?;
            let this = std::mem::replace(&mut slot, entry.newer);
            Some((this, &entry.value))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn slots_are_listed_by_age(steps in prop::collection::vec(any::<Option<prop::sample::Index>>(), 0..60)) {
            let mut table: Table<u32> = Table::new();
            let mut model: Vec<Slot> = Vec::new();
            for step in steps {
                match step {
                    Some(index) if !model.is_empty() => table.give(model.remove(index.index(model.len()))),
                    _ => model.push(table.take()),
                }
                prop_assert_eq!(table.iter().map(|(slot, _)| slot).collect::<Vec<_>>(), model.clone());
                prop_assert_eq!(table.len(), model.len());
                prop_assert_eq!(table.oldest(), model.first().copied().unwrap_or(NONE));
            }
        }
    }
}
