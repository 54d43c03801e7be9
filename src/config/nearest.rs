//! The nearest known name to a mistyped one.

/// The known name that `typed` was probably meant to be.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // 0.7 finds a swapped or missing letter and does not offer `port` for `path`
    known
        .into_iter()
        .map(|name| {
            (strsim::normalized_damerau_levenshtein(typed, name).max(prefix(typed, name)).max(swapped(typed, name)), name)
        })
        .filter(|(score, _)| *score >= 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// A name that was cut short is near to the whole one.
fn prefix(typed: &str, name: &str) -> f64 {
    if typed.len() >= 3 && name.starts_with(typed) { 0.9 } else { 0.0 }
}

/// Two letters that changed places are near in a name that is so short that two are most of it.
fn swapped(typed: &str, name: &str) -> f64 {
    let sorted = |word: &str| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.sort_unstable();
        letters
    };
    if strsim::damerau_levenshtein(typed, name) == 1 && sorted(typed) == sorted(name) { 0.9 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_and_nothing_else() {
        let known = ["ignore", "methods", "min_interval", "recovery", "port", "path", "url", "to", "ca"];
        for (typed, meant) in [
            ("ingore", Some("ignore")),
            ("method", Some("methods")),
            ("min-interval", Some("min_interval")),
            ("recov", Some("recovery")),
            ("prot", Some("port")),
            ("colour", None),
            ("ulr", Some("url")),
            ("ot", Some("to")),
            ("ac", Some("ca")),
            ("lru", None),
            ("uri", None),
            ("tp", None),
            ("of", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}
