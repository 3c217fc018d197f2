//! What the screens show, as plain data. Only [`crate::update`] changes it and [`crate::view`] draws it.

pub mod columns;
pub mod demo;
pub mod list;
#[doc(hidden)]
pub mod samples;

#[cfg(test)]
pub(crate) mod fixture;
