//! `sentby demo`: the whole way from audit records to answers, over the real socket.

mod feed;
mod scratch;
mod story;
mod whole;

use super::{Outcome, client::Api, serve, settings::Flags};
use crate::{
    config::{Config, ConfigError, DatabaseUrl, Role},
    server,
};
use anyhow::Context as _;
use scratch::Scratch;
use std::{
    io::{self, Write as _},
    net::SocketAddr,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// See it work: a server, a made-up tenant, and who sent what.
///
/// Starts the real server on an empty SQLite file of its own (removed at the end), plays the
/// onboarding service and a collector against it, shows the answers and the evidence, and
/// then goes on serving, with commands to try. Settings of the environment are not used.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Demo {
    /// End after the answers instead of going on serving; exit code 1 if one is not as
    /// expected
    #[arg(long)]
    once: bool,
    /// Where to serve [default: 127.0.0.1:50051, or a free port if that is taken]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  sentby demo
  sentby demo --once
  sentby demo --listen 127.0.0.1:0";

impl Demo {
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut flags = Flags::default().values;
        flags.push(("log", "warn".into()));
        // the server forgets private mail of long ago, and its mail is of a fixed day
        flags.push(("unjoined_send_days", "3650".into()));
        flags.extend(self.listen.clone().map(|listen| ("listen", listen)));
        Config::load(Role::Serve, &flags, None, [])
    }

    pub async fn run(self, mut config: Config) -> anyhow::Result<Outcome> {
        let scratch = Scratch::new().context("cannot make a temporary directory")?;
        config.database = DatabaseUrl::Sqlite(scratch.path().join("demo.db"));
        let interrupted = serve::shutdown()?;
        let listener = match self.listen {
            Some(_) => serve::listen(config.listen).await?,
            None => self.any_listener(config.listen).await?,
        };
        let address = listener.local_addr()?;
        let (stop, server) = start(&config, listener).await?;

        let as_expected = {
            let api = Api::of(address).await?;
            let played = story::play(&api, address);
            tokio::pin!(interrupted);
            tokio::select! {
                as_expected = played => {
                    let as_expected = as_expected?;
                    if !self.once {
                        writeln!(io::stdout(), "{}", story::commands_to_try(address))?;
                        interrupted.await;
                        writeln!(io::stdout(), "\nStopped; the database of the demo is gone.")?;
                    }
                    as_expected
                }
                () = &mut interrupted => true,
            }
        };
        let _ = stop.send(());
        server.await??;
        Ok(if as_expected {
            Outcome::Done
        } else {
            Outcome::No
        })
    }

    /// The usual port makes the commands to try simple; any other will do.
    async fn any_listener(&self, usual: SocketAddr) -> anyhow::Result<TcpListener> {
        match TcpListener::bind(usual).await {
            Ok(listener) => Ok(listener),
            Err(_) => serve::listen(SocketAddr::new(usual.ip(), 0)).await,
        }
    }
}

type Server = JoinHandle<anyhow::Result<()>>;

async fn start(
    config: &Config,
    listener: TcpListener,
) -> anyhow::Result<(oneshot::Sender<()>, Server)> {
    let app = server::open(config).await?;
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(async move {
        let shutdown = async {
            let _ = stopped.await;
        };
        server::serve(app, listener, shutdown).await?;
        Ok(())
    });
    Ok((stop, server))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn none_of_its_mail_is_too_old_to_be_kept() {
        let demo = Demo {
            once: true,
            listen: None,
        };
        let kept = demo.config().unwrap().unjoined_send_days;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = i64::try_from(now.unwrap().as_millis()).unwrap();
        assert!(now - feed::DAY.ms() < i64::from(kept) * 86_400_000);
    }
}
