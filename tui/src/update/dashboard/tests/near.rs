//! A torrent from near: its pieces, its files, its link.

use super::*;

#[test]
fn the_magnet_link_is_known_wherever_it_is_copied() {
    let mut model = board();
    for keys in ["p", "f", "1"] {
        let view = views(&press(&mut model, keys)).pop().unwrap_or_else(|| model.view());
        assert!(view.detail.expect("a torrent").aspects.about, "{keys}");
    }
}

#[test]
fn the_piece_that_is_asked_about_is_the_one_that_its_cell_shows() {
    let mut model = board();
    press(&mut model, "Enter Tab");
    let mut hits = Hits::default();
    hits.add_map(ratatui::layout::Rect::new(0, 0, 70, 9), 10);
    update(&mut model, Message::Drawn(hits));
    model.piece = 1_200;
    let pieces = &model.detail().expect("it is known").lists.pieces;
    let worst = crate::view::heat_map::worst(pieces, 1_200, 10);
    assert!(
        pieces[1_200..1_210]
            .iter()
            .all(|piece| { piece.have || piece.availability >= pieces[worst as usize].availability })
    );
    let view = views(&press(&mut model, "Left Right")).pop().expect("another view");
    assert_eq!(view.detail.expect("a torrent").piece, Some(worst));
}

#[test]
fn files_have_priorities() {
    let mut model = board();
    press(&mut model, "f");
    for (key, change) in [
        ("Space", [FilePriority::Normal, FilePriority::Skip, FilePriority::Skip, FilePriority::Skip]),
        ("+", [FilePriority::Low, FilePriority::Normal, FilePriority::High, FilePriority::High]),
        ("-", [FilePriority::Skip, FilePriority::Skip, FilePriority::Low, FilePriority::Normal]),
    ] {
        for place in 0..model.file_order.len() {
            model.cursor_mut(List::Files).selected = place;
            let file = model.file_order[place];
            let before = model.detail().expect("it is known").lists.files[file].priority;
            let wanted = change[before as usize];
            let asked = commands(&press(&mut model, key));
            if wanted == before {
                assert_eq!(asked, []);
            } else {
                let torrent = model.targets()[0];
                assert_eq!(
                    asked,
                    [Command::SetFiles { torrent, files: vec![file as u32], priority: wanted }]
                );
            }
        }
    }
}
