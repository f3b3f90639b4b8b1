//! One image that may stop at any exit and go on from there.

use super::Engine;
use super::group::Group;

/// One image under way; see [`Engine::walk`].
pub struct Walk<'a> {
    engine: &'a Engine,
    /// None after it was given back.
    group: Option<Group<'a>>,
    next: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(engine: &'a Engine, image: &[f32]) -> Walk<'a> {
        let mut group = engine.new_group(&engine.single);
        let (slice, planes) = &engine.input;
        group.load(0, (*slice, planes), 0, image);
        Walk { engine, group: Some(group), next: 0 }
    }

    /// Logits of the next exit, or none after the last.
    pub fn advance(&mut self) -> Option<&[f32]> {
        let place = self.engine.logits.get(self.next)?;
        let group = self.group.as_mut()?;
        group.run(self.next);
        self.next += 1;
        Some(group.logits(place, 0))
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        if let Some(group) = self.group.take() {
            self.engine.recycle(group);
        }
    }
}
