//! Graphs as they look, and their scales.

use super::*;
use crate::view::capture;

fn drawn(samples: &[u64], span: usize, ascii: bool, log: bool, width: u16, height: u16) -> Vec<String> {
    let theme = Theme::new(false, ascii);
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    Chart { samples, span, log, style: Style::new(), symbol: "v" }.draw(&mut buffer, area, &theme);
    capture::text(&buffer).lines().map(str::to_string).collect()
}

#[test]
fn graphs_rise_and_fall() {
    let samples: Vec<u64> = (0..=16).map(|step| step * 64).collect();
    assert_eq!(drawn(&samples, 18, false, false, 15, 2), ["v1.0k┤      ⣀⣤⣶", "    0┤⢀⣀⣠⣴⣾⣿⣿⣿⣿"]);
    assert_eq!(drawn(&samples, 18, true, false, 15, 2), ["v1.0k|      _.-", "    0|__..-'"]);
    // Unknown is not the same as nothing.
    assert_eq!(drawn(&[0, 0, 0, 0], 8, false, false, 10, 1), ["v1.0k┤  ⣀⣀"]);
}

#[test]
fn a_logarithm_lifts_what_is_small() {
    let samples = [1 << 10, 1 << 14, 1 << 20];
    let (linear, log) =
        (drawn(&samples, 3, true, false, 9, 4).join("\n"), drawn(&samples, 3, true, true, 9, 4).join("\n"));
    assert_eq!(linear, " 1.0M|  -\nv    |\n     |\n    0|__");
    assert_ne!(linear, log);
}

#[test]
fn samples_share_the_columns_evenly() {
    for (samples, span, dots, means) in [
        (&[1, 2][..], 2, 4, &[Some(1), Some(1), Some(2), Some(2)][..]),
        (&[10, 20], 2, 5, &[Some(10), Some(10), Some(15), Some(20), Some(20)]),
        (&[1, 3, 5, 7], 4, 2, &[Some(2), Some(6)]),
        (&[3, 5, 7], 4, 2, &[Some(3), Some(6)]),
        (&[5, 7], 4, 2, &[None, Some(6)]),
        (&[7], 6, 2, &[None, None]),
        (&[9, 1, 3], 2, 2, &[Some(1), Some(3)]),
        (&[], 4, 2, &[None, None]),
        (&[u64::MAX; 4], 4, 1, &[Some(u64::MAX)]),
        (&[1], 0, 0, &[]),
    ] {
        assert_eq!(columns(samples, span, dots), means, "{samples:?} of {span} in {dots}");
    }
}

#[test]
fn scales_end_at_round_numbers() {
    for (most, round) in [
        (0, "1.0k"),
        (1025, "2.0k"),
        (5 * 1024, "5.0k"),
        (300_000, "500k"),
        (1_000_000, "1.0M"),
        (8_700_000, "10M"),
        (u64::MAX, "16E"),
    ] {
        assert!(top(most) >= most);
        assert_eq!(Short(top(most)).to_string(), round);
    }
}
