//! What a long run tells of itself. `tests/proof` writes it to the ledger, with the seed and the
//! commit: what is claimed is what the ledger holds.

use std::{env, fs::OpenOptions, io::Write as _};

/// `promise`: its name in `tests/proofs/table`. `n`: how often it was really tried. `figures`: what was
/// measured meanwhile, each with its unit in its name. To be called when all of it was found right.
pub fn tell(promise: &str, n: u64, figures: &[(&str, f64)]) {
    let Some(file) = env::var_os("SENTBY_TEST_TOLD") else {
        return;
    };
    let figures = figures
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"));
    let figures = figures.collect::<Vec<_>>().join(",");
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .expect("a file");
    writeln!(file, "{promise} {n} {{{figures}}}").expect("written");
}
