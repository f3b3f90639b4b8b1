//! Looking at a run: its answers, images, training and network, and whether this machine is ready.

pub mod agreement;
pub mod card;
pub mod classify;
pub mod doctor;
pub mod draw;
pub mod examples;
pub mod explore;
pub mod guarantee;
pub mod letting;
pub mod opened;
pub mod summary;
pub mod tracking;
pub mod watch;
