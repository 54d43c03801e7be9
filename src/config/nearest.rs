//! The nearest known name to a mistyped one.

/// The known name that `typed` was probably meant to be.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // 0.7 finds a swapped or missing letter and does not offer `port` for `path`
    known
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(typed, name).max(prefix(typed, name)), name))
        .filter(|(score, _)| *score >= 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// A name that was cut short is near to the whole one.
fn prefix(typed: &str, name: &str) -> f64 {
    if typed.len() >= 3 && name.starts_with(typed) { 0.9 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_and_nothing_else() {
        let known = ["ignore", "methods", "min_interval", "recovery", "port", "path"];
        for (typed, meant) in [
            ("ingore", Some("ignore")),
            ("method", Some("methods")),
            ("min-interval", Some("min_interval")),
            ("recov", Some("recovery")),
            ("prot", Some("port")),
            ("colour", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}
