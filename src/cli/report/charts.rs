//! Pictures: shapes only, stretched to the width that there is. Their words stand beside them as
//! text, so these are as large on a phone as elsewhere; their numbers stand in a table below.

use super::html::Html;
use std::fmt::Write as _;

/// A layer of columns: its class in the style sheet, and a number for each column.
pub(super) struct Layer {
    pub class: &'static str,
    pub numbers: Vec<u64>,
}

/// Columns of layers, one on the other; `most` is as high as the picture.
pub(super) fn columns(
    html: &mut Html<'_>,
    class: &'static str,
    most: u64,
    layers: &[Layer],
    title: &str,
) {
    let count = layers.first().map_or(0, |layer| layer.numbers.len());
    open(html, class, count * 10, 100, title);
    let most = most.max(1) as f64;
    let mut below = vec![0; count];
    for layer in layers {
        let mut path = String::new();
        for (at, number) in layer.numbers.iter().enumerate().filter(|(_, n)| **n > 0) {
            let height = *number as f64 / most * 100.0;
            let top = 100.0 - below[at] as f64 / most * 100.0 - height;
            // a string takes everything
            let _ = write!(path, "M{} {top:.2}h8v{height:.2}h-8z", at * 10 + 1);
            below[at] += number;
        }
        shape(html, layer.class, &path);
    }
    html.raw("</svg>");
}

/// What a cell of a heat map looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub class: &'static str,
    /// Of a hundred: so that it can be told without colours.
    pub height: u32,
}

/// One row of a heat map. `None`: nothing is there.
pub(super) fn cells(html: &mut Html<'_>, class: &'static str, cells: &[Option<Look>], title: &str) {
    open(html, class, cells.len() * 10, 100, title);
    let mut looks: Vec<Look> = Vec::new();
    for look in cells.iter().flatten() {
        if !looks.contains(look) {
            looks.push(*look);
        }
    }
    for look in looks {
        let mut path = String::new();
        for (at, _) in cells.iter().enumerate().filter(|(_, c)| **c == Some(look)) {
            let (x, top) = (at * 10, 100 - look.height);
            let _ = write!(path, "M{x}.4 {top}h9.2v{}h-9.2z", look.height);
        }
        shape(html, look.class, &path);
    }
    html.raw("</svg>");
}

/// Parts of one bar, which is as long as `of` is to `most`. For the eye only: its numbers stand
/// beside it.
pub(super) fn bar(html: &mut Html<'_>, parts: &[(&'static str, u64)], most: u64) {
    html.raw("<svg class=\"bar\" aria-hidden=\"true\" focusable=\"false\">");
    let most = most.max(1) as f64;
    let mut left = 0.0;
    for (class, number) in parts.iter().filter(|(_, number)| *number > 0) {
        let width = *number as f64 / most * 100.0;
        html.raw("<rect class=\"").raw(class).raw("\" x=\"");
        html.own(format_args!("{left:.2}%"));
        html.raw("\" width=\"").own(format_args!("{width:.2}%"));
        html.raw("\" height=\"100%\"/>");
        left += width;
    }
    html.raw("</svg>");
}

fn open(html: &mut Html<'_>, class: &'static str, width: usize, height: usize, title: &str) {
    html.raw("<svg class=\"").raw(class);
    html.raw("\" role=\"img\" focusable=\"false\" preserveAspectRatio=\"none\" viewBox=\"0 0 ");
    html.own(width.max(1)).raw(" ").own(height);
    html.raw("\"><title>").own(title).raw("</title>");
}

fn shape(html: &mut Html<'_>, class: &'static str, path: &str) {
    if !path.is_empty() {
        html.raw("<path class=\"").raw(class).raw("\" d=\"");
        html.own(path).raw("\"/>");
    }
}

/// How strong a number is among others: of four steps the first for the least.
pub(super) fn step(number: u64, most: u64) -> Option<Look> {
    const STEPS: [&str; 4] = ["s1", "s2", "s3", "s4"];
    if number == 0 || most == 0 {
        return None;
    }
    let at = usize::try_from((number * 4).div_ceil(most)).unwrap_or(4);
    Some(Look {
        class: STEPS[at.clamp(1, 4) - 1],
        height: 100,
    })
}

/// A round number that is no smaller: the height of a picture.
pub(super) fn round_up(most: u64) -> u64 {
    let mut scale = 1;
    loop {
        for step in [2, 4, 6, 8, 10] {
            if step * scale >= most.max(2) {
                return step * scale;
            }
        }
        scale *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::names::Names, *};

    #[test]
    fn columns_stand_on_each_other() {
        let names = Names::default();
        let mut html = Html::new(&names);
        let layers = [
            Layer {
                class: "a",
                numbers: vec![50, 0],
            },
            Layer {
                class: "b",
                numbers: vec![25, 100],
            },
        ];
        columns(&mut html, "c", 100, &layers, "<two> days");
        assert_eq!(
            html.into_text(),
            "<svg class=\"c\" role=\"img\" focusable=\"false\" preserveAspectRatio=\"none\" \
             viewBox=\"0 0 20 100\"><title>&lt;two&gt; days</title>\
             <path class=\"a\" d=\"M1 50.00h8v50.00h-8z\"/>\
             <path class=\"b\" d=\"M1 25.00h8v25.00h-8zM11 0.00h8v100.00h-8z\"/></svg>"
        );
    }

    #[test]
    fn steps_and_heights() {
        let class = |number, most| step(number, most).map(|look| look.class);
        assert_eq!(class(0, 10), None);
        assert_eq!(class(1, 1_000), Some("s1"));
        assert_eq!(class(25, 100), Some("s1"));
        assert_eq!(class(26, 100), Some("s2"));
        assert_eq!(class(100, 100), Some("s4"));
        assert_eq!(
            [0, 1, 3, 5, 10, 101, 4_321].map(round_up),
            [2, 2, 4, 6, 10, 200, 6_000]
        );
    }
}
