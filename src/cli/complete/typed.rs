//! How far a command line has come: which verb, and what is being typed.

use clap::{Arg, Command};

use crate::host::Options;

/// A command line whose last word is being typed.
#[derive(Debug)]
pub(super) struct Typed<'a> {
    /// The verb, or the program itself.
    pub(super) verb: &'a Command,
    /// Its name: "db clear"; "" for the program.
    pub(super) path: String,
    /// What is being typed.
    pub(super) what: What<'a>,
    /// The word so far, without the option that it may begin with.
    pub(super) begun: String,
    /// What stands before it in the same word: "--output=".
    pub(super) before: String,
    /// The options of every command.
    pub(super) options: Options,
}

/// What is being typed.
#[derive(Debug, Clone, Copy)]
pub(super) enum What<'a> {
    /// A verb, if the verb so far has some.
    Verb,
    /// An option's name.
    Option,
    /// The value of an option, or an argument.
    Value(&'a Arg),
    /// Nothing that is known.
    Nothing,
}

/// Reads it as the program would; `None` where there is no word to be completed.
pub(super) fn parse<'a>(program: &'a Command, words: &[String]) -> Option<Typed<'a>> {
    let (last, words) = words.split_last()?;
    let (mut verb, mut path, mut options) = (program, String::new(), Options::default());
    let (mut arguments, mut no_options, mut awaits) = (0, false, None);
    for word in words {
        if let Some(arg) = awaits.take() {
            note(&mut options, arg, word);
        } else if no_options || !word.starts_with('-') || word == "-" {
            match verb.find_subcommand(word).filter(|_| arguments == 0 && !no_options) {
                Some(below) => {
                    verb = below;
                    path = format!("{path} {word}").trim_start().to_owned();
                }
                None => arguments += 1,
            }
        } else if word == "--" {
            no_options = true;
        } else if let Some(arg) = option(verb, word) {
            match word.split_once('=').filter(|_| word.starts_with("--")) {
                Some((_, value)) => note(&mut options, arg, value),
                None if arg.get_action().takes_values() => awaits = Some(arg),
                None => note(&mut options, arg, ""),
            }
        }
    }
    let (mut before, mut begun) = (String::new(), last.clone());
    let what = match (awaits, last.split_once('=')) {
        (Some(arg), _) => What::Value(arg),
        (None, Some((name, value))) if !no_options && name.starts_with("--") => {
            (before, begun) = (format!("{name}="), value.to_owned());
            option(verb, name).map_or(What::Nothing, What::Value)
        }
        _ if !no_options && last.starts_with('-') => What::Option,
        _ if !no_options && arguments == 0 && verb.has_subcommands() => What::Verb,
        _ => argument(verb, arguments).map_or(What::Nothing, What::Value),
    };
    Some(Typed { verb, path, what, begun, before, options })
}

/// The option that a word names: "--output=x", "-o", "-vo".
fn option<'a>(verb: &'a Command, word: &str) -> Option<&'a Arg> {
    let long = word.strip_prefix("--").map(|name| name.split('=').next().unwrap_or_default());
    verb.get_arguments().find(|arg| match long {
        Some(long) => arg.get_long() == Some(long),
        None => arg.get_short().is_some_and(|short| word.ends_with(short)),
    })
}

/// The argument at this place; the last one may stand for several.
fn argument(verb: &Command, place: usize) -> Option<&Arg> {
    let takes_many = |arg: &&Arg| arg.get_num_args().is_some_and(|count| count.max_values() > 1);
    verb.get_positionals().nth(place).or_else(|| verb.get_positionals().last().filter(takes_many))
}

fn note(options: &mut Options, arg: &Arg, value: &str) {
    match arg.get_id().as_str() {
        "config" => options.config = Some(value.into()),
        "state_dir" => options.state_dir = Some(value.into()),
        "plugin_dir" => options.plugin_dir = Some(value.into()),
        "user" => options.user = true,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn what_is_being_typed() {
        let mut program = Cli::command();
        program.build();
        let typed = |words: &str| {
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            let typed = parse(&program, &words).unwrap();
            let what = match typed.what {
                What::Value(arg) => arg.get_id().as_str(),
                What::Verb => "a verb",
                What::Option => "an option",
                What::Nothing => "nothing",
            };
            format!("{}|{what}|{}{}", typed.path, typed.before, typed.begun)
        };
        for (words, expected) in [
            ("", "|a verb|"),
            ("sta", "|a verb|sta"),
            ("--us", "|an option|--us"),
            ("--user ack ba", "ack|unit|ba"),
            ("--config x.toml ack ", "ack|unit|"),
            ("ack backup --reason dis", "ack|reason|dis"),
            ("ack backup ", "ack|nothing|"),
            ("db ", "db|a verb|"),
            ("db clear a b", "db clear|units|b"),
            ("db list --unit=ba", "db list|unit|--unit=ba"),
            ("status -o ", "status|output|"),
            ("status -vo js", "status|output|js"),
            ("failure -- -", "failure|unit|-"),
            ("status x ", "status|nothing|"),
            ("test --nonsense=x", "test|nothing|--nonsense=x"),
        ] {
            assert_eq!(typed(words), expected, "{words:?}");
        }
    }
}
