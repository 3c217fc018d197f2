//! What the screens show, as plain data. Only [`crate::update`] changes it and [`crate::view`] draws it.

pub mod arrange;
pub mod columns;
pub mod dashboard;
pub mod demo;
pub mod dialog;
pub mod field;
pub mod filter;
pub mod hits;
pub mod list;
pub mod order;
pub mod place;
#[doc(hidden)]
pub mod samples;
pub mod setting;
pub mod zone;

#[cfg(test)]
pub(crate) mod fixture;
