//! What the mouse does.

use super::*;

#[test]
fn the_mouse_does_what_keys_do() {
    use ratatui::layout::Rect;
    let mut model = board();
    let mut hits = Hits::default();
    hits.add_list(List::Torrents, Rect::new(1, 3, 50, 8), 2);
    hits.add(Rect::new(1, 2, 10, 1), crate::model::hits::Target::Column(List::Torrents, 1));
    hits.add(Rect::new(0, 20, 5, 1), crate::model::hits::Target::Action(Action::Add));
    let click = |model: &mut Dashboard, column, row| {
        let mouse = Mouse { kind: MouseKind::Click, column, row };
        update(model, Message::Mouse(mouse))
    };
    update(&mut model, Message::Drawn(hits));
    click(&mut model, 5, 5);
    assert_eq!(model.cursor(List::Torrents).selected, 4);
    click(&mut model, 5, 5);
    assert_eq!(model.place, Place::Detail, "a second click opens");
    press(&mut model, "Esc");
    click(&mut model, 5, 2);
    assert_eq!(model.torrent_sort.column, TorrentColumn::Name);
    let wheel = |kind| Message::Mouse(Mouse { kind, column: 5, row: 5 });
    press(&mut model, "g");
    update(&mut model, wheel(MouseKind::WheelDown));
    assert_eq!(model.cursor(List::Torrents).top, 3);
    update(&mut model, wheel(MouseKind::WheelUp));
    assert_eq!(model.cursor(List::Torrents).top, 0);
    click(&mut model, 2, 20);
    assert!(matches!(model.dialogs.last(), Some(Dialog::Add(_))));
    click(&mut model, 5, 5);
    assert_eq!(model.place, Place::Torrents, "what lies below a dialog is out of reach");
}

#[test]
fn data_are_deleted_by_nothing_but_their_own_choice() {
    let mut model = board();
    press(&mut model, "d");
    let choose = |number| crate::model::hits::Target::Choice(number);
    let mut hits = Hits::default();
    hits.add(ratatui::layout::Rect::new(0, 0, 9, 1), choose(1));
    update(&mut model, Message::Drawn(hits));
    let mouse = Mouse { kind: MouseKind::Click, column: 1, row: 0 };
    assert_eq!(commands(&update(&mut model, Message::Mouse(mouse))), [], "one click is not enough");
    assert!(matches!(model.dialogs.last(), Some(Dialog::Delete { choice: DeleteChoice::DeleteData, .. })));
}

#[test]
fn the_border_below_the_list_is_moved_by_keys_and_by_the_mouse() {
    let mut model = board();
    update(&mut model, Message::Resize(80, 24));
    let split = |model: &Dashboard| model.arrangement().split().expect("it has one");
    let usual = split(&model).y;
    press(&mut model, "} }");
    assert_eq!(split(&model).y, usual + 2);
    for _ in 0..90 {
        press(&mut model, "{");
    }
    let least = split(&model).y;
    assert!(least < usual, "{least}");
    press(&mut model, "}");
    assert_eq!(split(&model).y, least + 1, "the first step back is seen");
    let mut hits = Hits::default();
    hits.add(split(&model), crate::model::hits::Target::Split);
    update(&mut model, Message::Drawn(hits));
    let mouse = |kind, row| Message::Mouse(Mouse { kind, column: 9, row });
    update(&mut model, mouse(MouseKind::Drag, usual));
    assert_eq!(split(&model).y, least + 1, "it was not taken hold of");
    update(&mut model, mouse(MouseKind::Click, least + 1));
    update(&mut model, mouse(MouseKind::Drag, usual));
    assert_eq!(split(&model).y, usual);
    update(&mut model, mouse(MouseKind::Click, 0));
    update(&mut model, mouse(MouseKind::Drag, 5));
    assert_eq!(split(&model).y, usual, "it was let go");
}
