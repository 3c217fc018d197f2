//! The screens: pure functions of a model, a theme and a size.

pub mod demo;
pub mod look;

mod bar;

pub use self::bar::bar;
