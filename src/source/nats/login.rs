//! Who the agent is for a NATS server. Secrets come from files, systemd's credentials or the environment, and are never
//! shown.

use std::{
    io,
    path::{Path, PathBuf},
};

use async_nats::ConnectOptions;
use secrecy::{ExposeSecret, SecretString};

use crate::config::Source;

/// What Fly's command line puts before a token when it shows one.
const FLY_SCHEME: &str = "FlyV1";

/// Who the agent is.
#[derive(Clone, Debug)]
pub enum Login {
    /// Nobody.
    Nobody,
    /// A user with a password.
    User(String, SecretString),
    /// Whoever has the token.
    Token(SecretString),
    /// Whoever has the JWT and its seed.
    Creds(SecretString),
    /// Whoever has the seed.
    Nkey(SecretString),
}

/// Why there is no login.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// A user without a password.
    #[error(
        "no password for the nats source's user {0}: name a file in `password_file`, set NATS_PASSWORD, or pass the systemd \
         credential nats_password"
    )]
    NoPassword(String),
    /// A file that should hold a secret can't be read.
    #[error("{} can't be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file or a variable that should hold a secret holds nothing.
    #[error("the secret in {0} is empty")]
    Empty(String),
    /// A credentials file that is none.
    #[error("{}: no JWT and seed in it, as in a .creds file", .0.display())]
    Creds(PathBuf),
}

impl Login {
    /// Who a source's configuration says.
    ///
    /// # Errors
    /// When a secret is not where it should be.
    pub fn find(source: &Source, variable_of: &impl Fn(&str) -> Option<String>) -> Result<Self, LoginError> {
        if let Some(path) = &source.creds_file {
            // Its last line's end is part of the form that the library knows.
            let text = SecretString::from(text_of(path)? + "\n");
            // Read by the library when it connects: known to be sound by then.
            ConnectOptions::with_credentials(text.expose_secret())
                .map_err(|_| LoginError::Creds(path.clone()))?;
            return Ok(Self::Creds(text));
        }
        if let Some(path) = &source.nkey_file {
            return read(path).map(Self::Nkey);
        }
        let secret = |file: &Option<PathBuf>, credential: &str, variable: &str| match file {
            Some(path) => read(path).map(Some),
            None => from_surroundings(variable_of, credential, variable),
        };
        match &source.user {
            Some(user) => match secret(&source.password_file, "nats_password", "NATS_PASSWORD")? {
                Some(password) => Ok(Self::User(user.clone(), password)),
                None => Err(LoginError::NoPassword(user.clone())),
            },
            None => {
                let token = secret(&source.token_file, "nats_token", "NATS_TOKEN")?;
                Ok(token.map_or(Self::Nobody, Self::Token))
            }
        }
    }

    /// Options to connect with.
    ///
    /// # Errors
    /// When the library can't read a credentials file's text.
    pub fn options(&self) -> io::Result<ConnectOptions> {
        let secret = |secret: &SecretString| secret.expose_secret().to_owned();
        Ok(match self {
            Self::Nobody => ConnectOptions::new(),
            Self::User(user, password) => {
                ConnectOptions::with_user_and_password(user.clone(), secret(password))
            }
            Self::Token(token) => ConnectOptions::with_token(secret(token)),
            Self::Creds(text) => ConnectOptions::with_credentials(text.expose_secret())?,
            Self::Nkey(seed) => ConnectOptions::with_nkey(secret(seed)),
        })
    }
}

fn from_surroundings(
    variable_of: &impl Fn(&str) -> Option<String>,
    credential: &str,
    variable: &str,
) -> Result<Option<SecretString>, LoginError> {
    let folder = variable_of("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    if let Some(path) = folder.map(|folder| folder.join(credential)).filter(|path| path.exists()) {
        return read(&path).map(Some);
    }
    variable_of(variable).map(|text| sound(&text, || variable.to_owned())).transpose()
}

fn text_of(path: &Path) -> Result<String, LoginError> {
    std::fs::read_to_string(path).map_err(|error| LoginError::Unreadable { path: path.to_owned(), error })
}

fn read(path: &Path) -> Result<SecretString, LoginError> {
    sound(&text_of(path)?, || path.display().to_string())
}

fn sound(text: &str, place: impl FnOnce() -> String) -> Result<SecretString, LoginError> {
    let text = text.trim();
    let token = text.strip_prefix(FLY_SCHEME).filter(|rest| rest.is_empty() || rest.starts_with(' '));
    let secret = token.unwrap_or(text).trim();
    if secret.is_empty() { Err(LoginError::Empty(place())) } else { Ok(SecretString::from(secret)) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::SourceType;

    fn find(edit: impl FnOnce(&mut Source), variables: &[(&str, &str)]) -> Result<Login, LoginError> {
        let mut source = Source::new(SourceType::Nats);
        edit(&mut source);
        Login::find(&source, &|name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn user(source: &mut Source) {
        source.user = Some("my-org".to_owned());
    }

    #[test]
    fn a_password_comes_from_its_file_or_else_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        fs::write(&file, "FlyV1 fm2_one,fm2_two\n").unwrap();
        let by_file = |source: &mut Source| {
            user(source);
            source.password_file = Some(file.clone());
        };
        let password = |login| match login {
            Ok(Login::User(user, password)) => format!("{user}:{}", password.expose_secret()),
            other => panic!("{other:?}"),
        };
        let variable = [("NATS_PASSWORD", " fm2_three ")];
        assert_eq!(password(find(by_file, &variable)), "my-org:fm2_one,fm2_two");
        assert_eq!(password(find(user, &variable)), "my-org:fm2_three");
        fs::write(dir.path().join("nats_password"), "from systemd").unwrap();
        let folder = [("CREDENTIALS_DIRECTORY", dir.path().to_str().unwrap()), variable[0]];
        assert_eq!(password(find(user, &folder)), "my-org:from systemd");
        let shown = format!("{:?}", find(user, &variable));
        assert!(!shown.contains("fm2"), "{shown}");
    }

    #[test]
    fn what_is_missing_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        fs::write(&empty, "FlyV1 \n").unwrap();
        let said = |login: Result<Login, LoginError>| login.unwrap_err().to_string();
        assert!(said(find(user, &[])).contains("user my-org: name a file in `password_file`"));
        let gone = said(find(|source| source.token_file = Some("/gone".into()), &[]));
        assert!(gone.starts_with("/gone can't be read"), "{gone}");
        let empty = said(find(|source| source.nkey_file = Some(empty.clone()), &[]));
        assert!(empty.ends_with("empty is empty"), "{empty}");
        let creds = said(find(|source| source.creds_file = Some("/dev/null".into()), &[]));
        assert!(creds.contains("/dev/null"), "{creds}");
    }

    #[test]
    fn without_any_it_is_nobody_or_a_token() {
        assert!(matches!(find(|_| {}, &[]), Ok(Login::Nobody)));
        assert!(matches!(find(|_| {}, &[("NATS_TOKEN", "t")]), Ok(Login::Token(_))));
    }
}
