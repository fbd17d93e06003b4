//! The API key: where it is found. Never on the command line, never in the configuration file, never shown.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// Where a key may come from, as the environment tells.
#[derive(Debug, Default)]
pub struct Environment {
    /// `CREDENTIALS_DIRECTORY`, which systemd sets for `LoadCredential=`.
    pub credentials_directory: Option<PathBuf>,
    /// `HONEYCOMB_API_KEY`.
    pub api_key: Option<SecretString>,
}

impl Environment {
    /// Of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            credentials_directory: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            api_key: std::env::var("HONEYCOMB_API_KEY").ok().map(SecretString::from),
        }
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// None was given.
    #[error(
        "no API key: set HONEYCOMB_API_KEY, name a file in `[honeycomb] api_key_file`, or pass the systemd \
         credential honeycomb_api_key"
    )]
    Missing,
    /// A file that should hold it can't be read.
    #[error("the API key's file {} can't be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A place that should hold it holds nothing.
    #[error("the API key in {0} is empty")]
    Empty(String),
}

/// A key, and the file that it was in.
#[derive(Clone, Debug)]
pub struct Found {
    /// The key.
    pub key: SecretString,
    /// Its file; `None` if it came from the environment.
    pub file: Option<PathBuf>,
}

/// Finds the key: systemd's credential, then the configured file, then the environment.
///
/// # Errors
/// When the first place that should have one has none.
pub fn find(environment: Environment, api_key_file: Option<&Path>) -> Result<Found, KeyError> {
    let credential = environment.credentials_directory.map(|dir| dir.join("honeycomb_api_key"));
    let file = credential.filter(|path| path.exists()).or_else(|| api_key_file.map(Path::to_owned));
    if let Some(path) = file {
        return Ok(Found { key: read(&path)?, file: Some(path) });
    }
    let key = environment.api_key.ok_or(KeyError::Missing)?;
    let key =
        sound(secrecy::ExposeSecret::expose_secret(&key).to_owned(), || "HONEYCOMB_API_KEY".to_owned())?;
    Ok(Found { key, file: None })
}

/// The key in a file.
///
/// # Errors
/// When it can't be read, or is empty.
pub fn read(path: &Path) -> Result<SecretString, KeyError> {
    let unreadable = |error| KeyError::Unreadable { path: path.to_owned(), error };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    sound(text, || path.display().to_string())
}

fn sound(text: String, place: impl FnOnce() -> String) -> Result<SecretString, KeyError> {
    let key = SecretString::from(text.trim());
    drop(SecretString::from(text));
    if secrecy::ExposeSecret::expose_secret(&key).is_empty() {
        Err(KeyError::Empty(place()))
    } else {
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_places_are_tried_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "from-file\n").unwrap();
        let environment = |credentials: bool| Environment {
            credentials_directory: credentials.then(|| dir.path().to_owned()),
            api_key: Some("from-environment".into()),
        };
        let found =
            |credentials, file| find(environment(credentials), file).unwrap().key.expose_secret().to_owned();
        assert_eq!(found(true, None), "from-environment", "a credentials directory may hold other things");
        assert_eq!(found(false, Some(file.as_path())), "from-file");
        std::fs::write(dir.path().join("honeycomb_api_key"), " from-systemd ").unwrap();
        assert_eq!(found(true, Some(file.as_path())), "from-systemd");
    }

    #[test]
    fn an_absent_or_empty_key_is_said() {
        assert!(matches!(find(Environment::default(), None), Err(KeyError::Missing)));
        let empty = Environment { api_key: Some(" ".into()), ..Environment::default() };
        assert!(matches!(find(empty, None), Err(KeyError::Empty(_))));
    }
}
