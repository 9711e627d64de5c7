//! The table of settings as flags.

use crate::config::{ENV_CONFIG, SETTINGS, Setting};
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, value_parser};
use std::path::PathBuf;

/// What the command line says about the settings.
#[derive(Clone, Debug, Default)]
pub(super) struct Flags {
    pub values: Vec<(&'static str, String)>,
    pub file: Option<PathBuf>,
}

/// All settings: of `serve`.
#[derive(Clone, Debug)]
pub(super) struct ServeSettings(Flags);

/// Those that every command has.
#[derive(Clone, Debug)]
pub(super) struct CommonSettings(Flags);

impl ServeSettings {
    pub fn flags(&self) -> &Flags {
        &self.0
    }
}

impl CommonSettings {
    pub fn flags(&self) -> &Flags {
        &self.0
    }
}

fn all(_: &Setting) -> bool {
    true
}

fn common(setting: &Setting) -> bool {
    !setting.serve_only
}

const HEADING: &str = "Configuration (flag before environment before file)";

fn augment(mut command: clap::Command, shown: fn(&Setting) -> bool) -> clap::Command {
    for setting in SETTINGS.iter().filter(|setting| shown(setting)) {
        let mut help = format!("{} [env: {}]", setting.help, setting.env());
        if !setting.default.is_empty() && !setting.value.is_empty() {
            help.push_str(&format!(" [default: {}]", setting.default));
        }
        let arg = Arg::new(setting.key)
            .long(setting.flag)
            .help_heading(HEADING)
            .help(help);
        command = command.arg(if setting.value.is_empty() {
            arg.action(ArgAction::SetTrue)
        } else {
            arg.value_name(setting.value)
        });
    }
    command.arg(
        Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help_heading(HEADING)
            .help(format!(
                "A TOML file with settings by their names, `listen = \"…\"`, with `_` for `-` \
                 [env: {ENV_CONFIG}]"
            )),
    )
}

fn read(matches: &ArgMatches, shown: fn(&Setting) -> bool) -> Flags {
    let mut values = Vec::new();
    for setting in SETTINGS.iter().filter(|setting| shown(setting)) {
        if !setting.value.is_empty() {
            let value = matches.get_one::<String>(setting.key);
            values.extend(value.map(|value| (setting.key, value.clone())));
        } else if matches.get_flag(setting.key) {
            values.push((setting.key, "true".into()));
        }
    }
    Flags {
        values,
        file: matches.get_one::<PathBuf>("config").cloned(),
    }
}

macro_rules! settings_are_arguments {
    ($type:ident, $shown:ident) => {
        impl Args for $type {
            fn augment_args(command: clap::Command) -> clap::Command {
                augment(command, $shown)
            }
            fn augment_args_for_update(command: clap::Command) -> clap::Command {
                augment(command, $shown)
            }
        }

        impl FromArgMatches for $type {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                Ok(Self(read(matches, $shown)))
            }
            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                self.0 = read(matches, $shown);
                Ok(())
            }
        }
    };
}

settings_are_arguments!(ServeSettings, all);
settings_are_arguments!(CommonSettings, common);
