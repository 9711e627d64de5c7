//! What was measured, against what is to be reached.

use std::{collections::BTreeMap, fmt::Write as _};

/// Which way is better, and how far it has to be.
#[derive(Clone, Copy)]
pub enum Goal {
    AtLeast {
        gate: f64,
        aim: f64,
    },
    AtMost {
        gate: f64,
        aim: f64,
    },
    /// It is only told.
    Told,
}

pub struct Results {
    /// In the order in which they came up.
    lines: Vec<Line>,
}

struct Line {
    work: String,
    goal: Goal,
    unit: &'static str,
    values: Vec<f64>,
    /// What the values were made of, each round: name → figure.
    parts: Vec<BTreeMap<String, f64>>,
}

impl Results {
    pub fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// One round of a work. `unit`: `x` for a ratio.
    pub fn add(
        &mut self,
        work: &str,
        goal: Goal,
        unit: &'static str,
        value: f64,
        parts: &[(&str, f64)],
    ) {
        let parts: BTreeMap<String, f64> = parts
            .iter()
            .map(|(name, figure)| ((*name).to_owned(), *figure))
            .collect();
        let told: Vec<String> = parts
            .iter()
            .map(|(name, figure)| format!("{name} {}", short(*figure)))
            .collect();
        eprintln!("  {work}: {}{unit} ({})", short(value), told.join(", "));
        let known = self.lines.iter_mut().find(|line| line.work == work);
        match known {
            Some(line) => {
                line.values.push(value);
                line.parts.push(parts);
            }
            None => self.lines.push(Line {
                work: work.to_owned(),
                goal,
                unit,
                values: vec![value],
                parts: vec![parts],
            }),
        }
    }

    /// Two tables in Markdown: the goals, and every run.
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "| work | min | median | max | gate | aim | |\n|---|---|---|---|---|---|---|\n",
        );
        for line in &self.lines {
            let mut sorted = line.values.clone();
            sorted.sort_by(f64::total_cmp);
            let median = median(&sorted);
            let (gate, aim, verdict) = judge(line.goal, median);
            let unit = line.unit;
            let _ = writeln!(
                text,
                "| {} | {}{unit} | **{}{unit}** | {}{unit} | {gate} | {aim} | {verdict} |",
                line.work,
                short(sorted[0]),
                short(median),
                short(sorted[sorted.len() - 1]),
            );
        }
        text.push_str(
            "\nEvery run, in the order of the rounds:\n\n| work | figure | runs |\n|---|---|---|\n",
        );
        for line in &self.lines {
            let _ = writeln!(
                text,
                "| {} | **result** | {} |",
                line.work,
                row(&line.values)
            );
            let Some(first) = line.parts.first() else {
                continue;
            };
            for name in first.keys() {
                let values: Vec<f64> = line
                    .parts
                    .iter()
                    .filter_map(|parts| parts.get(name).copied())
                    .collect();
                let _ = writeln!(text, "| | {name} | {} |", row(&values));
            }
        }
        text
    }
}

fn row(values: &[f64]) -> String {
    let values: Vec<String> = values.iter().map(|value| short(*value)).collect();
    values.join(", ")
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    }
}

fn judge(goal: Goal, median: f64) -> (String, String, &'static str) {
    let (sign, gate, aim, gated, aimed) = match goal {
        Goal::AtLeast { gate, aim } => ("≥", gate, aim, median >= gate, median >= aim),
        Goal::AtMost { gate, aim } => ("≤", gate, aim, median <= gate, median <= aim),
        Goal::Told => return (String::new(), String::new(), ""),
    };
    let verdict = match (aimed, gated) {
        (true, _) => "aim reached",
        (_, true) => "gate held",
        _ => "**missed**",
    };
    (
        format!("{sign} {}", short(gate)),
        format!("{sign} {}", short(aim)),
        verdict,
    )
}

/// Three digits that count.
pub fn short(figure: f64) -> String {
    match figure.abs() {
        f if f >= 1e6 => format!("{:.2}M", figure / 1e6),
        f if f >= 1e4 => format!("{:.1}k", figure / 1e3),
        f if f >= 100.0 => format!("{figure:.0}"),
        f if f >= 10.0 => format!("{figure:.1}"),
        f if f >= 0.1 => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}
