//! Many images: threads that take groups, let images leave at exits and fill groups up again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, ensure};

use super::Engine;
use super::group::Group;

/// An image's answer at an exit.
#[derive(Debug, Clone, PartialEq)]
pub struct Left {
    /// Its place among the images given.
    pub image: usize,
    /// From 0.
    pub exit: usize,
    /// One a class.
    pub logits: Vec<f32>,
}

impl Engine {
    /// Runs all images as far as they go. An image leaves where `leaves` says so or at the last
    /// exit; with `every` its answers at the exits before are returned too.
    pub(super) fn visit(
        &self,
        images: &[f32],
        threads: usize,
        every: bool,
        leaves: &(dyn Fn(usize, usize, &[f32]) -> bool + Sync),
    ) -> Result<Vec<Left>> {
        ensure!(
            images.len().is_multiple_of(self.image),
            "{} floats are not a whole number of images of {}",
            images.len(),
            self.image
        );
        let shared = Shared {
            next: AtomicUsize::new(0),
            waiting: (0..self.exits()).map(|_| Mutex::default()).collect(),
        };
        let work = || {
            let mut worker =
                Worker { engine: self, images, every, leaves, shared: &shared, left: Vec::new() };
            worker.work();
            worker.left
        };
        let groups = (images.len() / self.image).div_ceil(self.lanes());
        let helpers = threads.clamp(1, groups.max(1)) - 1;
        Ok(std::thread::scope(|scope| {
            let handles: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
            let mut left = work();
            for handle in handles {
                match handle.join() {
                    Ok(more) => left.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            left
        }))
    }

    fn lanes(&self) -> usize {
        self.group.layout.lanes
    }

    /// Whether so few images are sooner done one by one than as a group with empty lanes.
    fn are_few(&self, images: usize) -> bool {
        2 * images <= self.lanes()
    }
}

/// What the threads share.
struct Shared<'a> {
    /// The first image that no thread has taken.
    next: AtomicUsize,
    /// By segment, images that wait for company before they go through it.
    waiting: Vec<Mutex<Option<Group<'a>>>>,
}

impl<'a> Shared<'a> {
    fn waiting(&self, segment: usize) -> std::sync::MutexGuard<'_, Option<Group<'a>>> {
        // A thread that panicked ends the whole call; until then the others may go on.
        let slot = self.waiting[segment].lock();
        slot.unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one thread has under way.
struct Worker<'a, 'b> {
    engine: &'a Engine,
    images: &'b [f32],
    every: bool,
    leaves: &'b (dyn Fn(usize, usize, &[f32]) -> bool + Sync),
    shared: &'b Shared<'a>,
    left: Vec<Left>,
}

impl<'a> Worker<'a, '_> {
    fn work(&mut self) {
        let count = self.images.len() / self.engine.image;
        let lanes = self.engine.lanes();
        loop {
            let first = self.shared.next.fetch_add(lanes, Ordering::Relaxed);
            if first >= count {
                break;
            }
            self.begin(first..(first + lanes).min(count));
        }
        // Images that this thread sets aside from now on wait at a later segment, which this loop has still to reach.
        for segment in 1..self.engine.exits() {
            let group = self.shared.waiting(segment).take();
            if let Some(group) = group {
                self.finish(group, segment);
            }
        }
    }

    /// Sends some images through the first segment.
    fn begin(&mut self, images: std::ops::Range<usize>) {
        let engine = self.engine;
        let few = engine.are_few(images.len());
        let (program, size) = if few { (&engine.single, 1) } else { (&engine.group, images.len()) };
        for first in images.clone().step_by(size) {
            let mut group = engine.new_group(program);
            for lane in 0..size {
                let number = first + lane;
                let image = &self.images[number * engine.image..][..engine.image];
                group.load(lane, (engine.input.0, &engine.input.1), number, image);
            }
            self.go_on(group, 0);
        }
    }

    /// The last images of a segment: no more will come.
    fn finish(&mut self, mut group: Group<'a>, segment: usize) {
        if !self.engine.are_few(group.len()) {
            return self.go_on(group, segment);
        }
        for _ in 0..group.len() {
            let mut single = self.engine.new_group(&self.engine.single);
            single.take(&mut group, &self.engine.live[segment - 1]);
            self.go_on(single, segment);
        }
        self.engine.recycle(group);
    }

    /// Runs a group from `segment` on as long as it stays full; what is left of it then waits.
    fn go_on(&mut self, mut group: Group<'a>, mut segment: usize) {
        loop {
            group.run(segment);
            self.answer(&mut group, segment);
            segment += 1;
            if group.len() == 0 {
                return self.engine.recycle(group);
            }
            if group.room() == 0 || self.every {
                continue;
            }
            match self.wait(group, segment) {
                Some(full) => group = full,
                None => return,
            }
        }
    }

    /// Takes down what the images say at an exit; lanes of those that leave become free.
    fn answer(&mut self, group: &mut Group, segment: usize) {
        let engine = self.engine;
        let is_last = segment + 1 == engine.exits();
        for lane in 0..group.program.layout.lanes {
            let Some(image) = group.images[lane] else {
                continue;
            };
            let logits = group.logits(&engine.logits[segment], lane);
            let stays = !is_last && !(self.leaves)(image, segment, logits);
            if self.every || !stays {
                self.left.push(Left { image, exit: segment, logits: logits.to_vec() });
            }
            if !stays {
                group.images[lane] = None;
            }
        }
    }

    /// Puts images with those that wait for `segment`; returns a group that has become full.
    fn wait(&self, group: Group<'a>, segment: usize) -> Option<Group<'a>> {
        let mut slot = self.shared.waiting(segment);
        let Some(waiting) = slot.take() else {
            *slot = Some(group);
            return None;
        };
        let (mut more, mut fewer) =
            if waiting.len() < group.len() { (group, waiting) } else { (waiting, group) };
        more.take(&mut fewer, &self.engine.live[segment - 1]);
        if fewer.len() > 0 {
            *slot = Some(fewer);
            return Some(more);
        }
        self.engine.recycle(fewer);
        if more.room() > 0 {
            *slot = Some(more);
            return None;
        }
        Some(more)
    }
}
