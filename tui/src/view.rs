//! The screens: pure functions of a model, a theme and a size.

pub mod capture;
pub mod chart;
pub mod demo;
pub mod heat_map;
pub mod layout;
pub mod look;
pub mod panels;
pub mod screen;
pub mod table;
pub mod text;

mod bar;

pub use self::bar::bar;
