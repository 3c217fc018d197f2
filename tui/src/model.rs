//! What the screens show, as plain data. Only [`crate::update`] changes it and [`crate::view`] draws it.

pub mod demo;

#[cfg(test)]
pub(crate) mod fixture;
