//! As much of SVG 1.1 as charts take.

use std::fmt::Write;

/// A picture under construction.
#[derive(Debug)]
pub(super) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Text as it may stand in an element or attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            // XML 1.0 has no such characters at all.
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

impl Svg {
    /// An empty picture, in pixels.
    pub(super) fn new(width: f64, height: f64) -> Self {
        let body = String::new();
        Self {
            width,
            height,
            body,
        }
    }

    /// Text of this size; `anchor` is "start", "middle" or "end".
    pub(super) fn text(&mut self, (x, y): (f64, f64), size: u32, anchor: &str, text: &str) {
        let text = escape(text);
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    /// A straight line; `dash` is as in `stroke-dasharray`, or empty.
    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, dash: &str) {
        let _ = writeln!(
            self.body,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-dasharray=\"{dash}\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    /// The document.
    pub(super) fn finish(self) -> String {
        let Self {
            width,
            height,
            body,
        } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n{body}</svg>\n"
        )
    }
}

/// A chart within a picture: axes, curves, a legend.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    svg: &'a mut Svg,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: (f64, f64),
    y: (f64, f64),
    legend: f64,
    marks: usize,
}

/// Steps of 1, 2 or 5 times a power of ten, about `count` of them up to `range`.
fn step(range: f64, count: f64) -> f64 {
    let rough = range / count;
    let power = 10f64.powf(rough.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    let fits = factors.into_iter().find(|factor| factor * power >= rough);
    fits.unwrap_or(10.0) * power
}

impl<'a> Chart<'a> {
    /// Draws the axes at this height of the picture, for values in these ranges.
    pub(super) fn new(
        svg: &'a mut Svg,
        (top, height): (f64, f64),
        x: (f64, f64),
        y: (f64, f64),
        title: &str,
    ) -> Self {
        let mut chart = Self {
            left: 60.0,
            right: svg.width - 20.0,
            top: top + 28.0,
            bottom: top + height - 26.0,
            svg,
            x,
            y,
            legend: 220.0,
            marks: 0,
        };
        chart.svg.text((12.0, top + 18.0), 12, "start", title);
        chart.axes();
        chart
    }

    fn axes(&mut self) {
        let each = step(self.y.1 - self.y.0, 5.0);
        let mut value = self.y.0;
        while value <= self.y.1 {
            let (left, y) = self.place((self.x.0, value));
            self.svg.line((left, y), (self.right, y), "#e0e0e0", "");
            let label = format!("{}", (value * 1e3).round() / 1e3);
            self.svg.text((left - 6.0, y + 4.0), 11, "end", &label);
            value += each;
        }
        let each = step(self.x.1 - self.x.0, 12.0);
        let mut value = self.x.0;
        while value <= self.x.1 + each * 1e-6 {
            let (x, _) = self.place((value, self.y.0));
            let label = format!("{} s", (value * 1e3).round() / 1e3);
            self.svg.text((x, self.bottom + 16.0), 11, "middle", &label);
            value += each;
        }
        let corner = (self.left, self.bottom);
        self.svg
            .line(corner, (self.right, self.bottom), "#404040", "");
        self.svg.line(corner, (self.left, self.top), "#404040", "");
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let share =
            |value: f64, (from, to): (f64, f64)| ((value - from) / (to - from)).clamp(0.0, 1.0);
        (
            self.left + share(x, self.x) * (self.right - self.left),
            self.bottom - share(y, self.y) * (self.bottom - self.top),
        )
    }

    fn name(&mut self, name: &str, colour: &str) {
        let y = self.top - 10.0;
        let _ = writeln!(
            self.svg.body,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>",
            self.legend,
            y - 6.0
        );
        self.svg.text((self.legend + 20.0, y), 12, "start", name);
        self.legend += 44.0 + 7.0 * name.chars().count() as f64;
    }

    /// Points joined by a line, in the order of x.
    pub(super) fn curve(&mut self, name: &str, colour: &str, dashed: bool, points: &[(f64, f64)]) {
        self.name(name, colour);
        let mut path = String::new();
        for point in points {
            let (x, y) = self.place(*point);
            let _ = write!(path, "{x:.1},{y:.1} ");
        }
        let dash = if dashed { "6 4" } else { "" };
        let _ = writeln!(
            self.svg.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" stroke-dasharray=\"{dash}\"/>",
            path.trim_end()
        );
    }

    /// Single points.
    pub(super) fn cloud(&mut self, name: &str, colour: &str, points: &[(f64, f64)]) {
        self.name(name, colour);
        let mut path = String::new();
        for point in points {
            let (x, y) = self.place(*point);
            let _ = write!(path, "M{x:.1} {y:.1}h0");
        }
        let _ = writeln!(
            self.svg.body,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"3\" stroke-linecap=\"round\"/>"
        );
    }

    /// Something that happened.
    pub(super) fn mark(&mut self, at: f64, text: &str) {
        let (x, _) = self.place((at, self.y.0));
        self.svg
            .line((x, self.top), (x, self.bottom), "#c00000", "3 3");
        if !text.is_empty() {
            // Neighbours below each other.
            let y = self.top + 12.0 + 13.0 * (self.marks % 4) as f64;
            self.svg.text((x + 4.0, y), 11, "start", text);
        }
        self.marks += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        assert_eq!(step(72.0, 5.0), 20.0);
        assert_eq!(step(12.0, 12.0), 1.0);
        assert_eq!(step(0.3, 5.0), 0.1);
        assert!((step(430.0, 5.0) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn points_beyond_the_axes_stay_inside() {
        let mut svg = Svg::new(1000.0, 300.0);
        let chart = Chart::new(&mut svg, (0.0, 300.0), (0.0, 10.0), (0.0, 10.0), "t");
        assert_eq!(chart.place((0.0, 0.0)), (60.0, 274.0));
        assert_eq!(chart.place((20.0, 20.0)), (980.0, 28.0));
    }

    #[test]
    fn any_text_is_escaped() {
        assert_eq!(
            escape("a<b> & \"c\"\u{1}"),
            "a&lt;b&gt; &amp; &quot;c&quot; "
        );
    }
}
