//! A record that is copied before it is changed: whoever gave it may need it as it was.

use hivetail_parsers::Record;

/// A record in the making.
#[derive(Debug)]
pub(crate) struct Draft<'d, 'e> {
    original: &'d Record<'e>,
    copy: &'d mut Record<'e>,
    is_changed: bool,
}

impl<'d, 'e> Draft<'d, 'e> {
    /// Of that record; `copy` lends its memory.
    pub(crate) const fn new(original: &'d Record<'e>, copy: &'d mut Record<'e>) -> Self {
        Self { original, copy, is_changed: false }
    }

    /// As it is now.
    pub(crate) const fn record(&self) -> &Record<'e> {
        if self.is_changed { self.copy } else { self.original }
    }

    /// To change it.
    pub(crate) fn change(&mut self) -> &mut Record<'e> {
        if !self.is_changed {
            self.copy.copy(self.original);
            self.is_changed = true;
        }
        self.copy
    }
}
