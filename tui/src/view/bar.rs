//! A horizontal bar of text.

use crate::theme::Symbols;

/// The filled and the empty part of a bar of `width` cells that shows `part` of `whole`.
pub fn bar(part: u64, whole: u64, width: usize, symbols: &Symbols) -> (String, String) {
    let eighths_all = width as u128 * 8;
    let filled = if whole == 0 {
        eighths_all
    } else {
        (u128::from(part) * eighths_all / u128::from(whole)).min(eighths_all)
    } as usize;
    let mut done = symbols.bar[7].repeat(filled / 8);
    if let Some(step) = (filled % 8).checked_sub(1) {
        done.push_str(symbols.bar[step]);
    }
    let rest = symbols.bar_rest.repeat(width - filled.div_ceil(8));
    (done, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::{ASCII, UNICODE};

    #[test]
    fn a_bar_always_has_its_width() {
        for (part, whole, width, text) in [
            (0, 100, 4, "····"),
            (50, 100, 4, "██··"),
            (99, 100, 4, "███▉"),
            (100, 100, 4, "████"),
            (1, 100, 4, "····"),
            (200, 100, 4, "████"),
            (0, 0, 4, "████"),
            (5, 9, 0, ""),
        ] {
            let (done, rest) = bar(part, whole, width, &UNICODE);
            assert_eq!(done + &rest, text, "{part} of {whole}");
        }
        let (done, rest) = bar(3, 8, 4, &ASCII);
        assert_eq!(done + &rest, "#=..");
    }
}
