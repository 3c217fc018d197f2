//! Every screen at every size.

use super::*;

const SCREENS: [Screen; 7] = [
    Screen::Torrents,
    Screen::Detail,
    Screen::Peers,
    Screen::Discovery,
    Screen::Fairness,
    Screen::Events,
    Screen::Settings,
];

#[test]
fn panels_never_overlap_and_never_leave_the_terminal() {
    for screen in SCREENS {
        for tab in [Panel::Overview, Panel::Peers] {
            for (width, height) in
                (0..=300).step_by(19).flat_map(|w| (0..=100).step_by(9).map(move |h| (w, h)))
            {
                let all = Rect::new(0, 0, width, height);
                let areas = Areas::of(screen, tab, all);
                let mut cells = 0;
                for (index, (panel, area)) in areas.iter().enumerate() {
                    assert_eq!(all.intersection(area), area, "{panel:?} of {screen:?} at {width}x{height}");
                    cells += area.area();
                    let others = areas.iter().skip(index + 1);
                    assert!(others.clone().all(|(other, _)| other != panel), "{panel:?} twice on {screen:?}");
                    assert!(others.map(|(_, other)| other).all(|other| !area.intersects(other)));
                }
                assert_eq!(cells, all.area(), "{screen:?} at {width}x{height} has holes");
            }
        }
    }
}

#[test]
fn the_main_screen_shows_what_fits() {
    use Panel::{
        Disk, Events, Fairness, Footer, Header, Overview, Peers, Pieces, Speed, Status, Torrents, Trackers,
    };
    for (width, height, panels) in [
        (60, 16, vec![Header, Torrents, Overview, Status, Footer]),
        (80, 24, vec![Header, Torrents, Overview, Speed, Events, Status, Footer]),
        (100, 30, vec![Header, Torrents, Overview, Speed, Events, Status, Footer]),
        (140, 40, vec![Header, Torrents, Overview, Speed, Fairness, Events, Status, Footer]),
        (
            200,
            60,
            vec![
                Header, Torrents, Pieces, Trackers, Peers, Speed, Fairness, Disk, Overview, Events, Status,
                Footer,
            ],
        ),
        (
            170,
            50,
            vec![
                Header, Torrents, Pieces, Trackers, Peers, Speed, Fairness, Overview, Events, Status, Footer,
            ],
        ),
    ] {
        let areas = Areas::of(Screen::Torrents, Overview, Rect::new(0, 0, width, height));
        assert_eq!(areas.iter().map(|(panel, _)| panel).collect::<Vec<_>>(), panels, "{width}x{height}");
        for (panel, area) in areas.iter().filter(|(panel, _)| !matches!(panel, Header | Status | Footer)) {
            assert!(area.height >= 4 && area.width >= 28, "{panel:?} has {area} at {width}x{height}");
        }
    }
}

#[test]
fn what_is_centered_is_within() {
    assert_eq!(centered(Rect::new(0, 0, 80, 24), 40, 90), Rect::new(20, 0, 40, 24));
}
