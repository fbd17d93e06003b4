//! The API key's file, looked at while the key is refused: whoever mends it need not restart the agent.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use crate::api_key;

/// The key in use and where it is.
#[derive(Debug)]
pub struct KeyWatch {
    key: SecretString,
    file: Option<PathBuf>,
}

impl KeyWatch {
    /// Of a key that was found, in that file if it was in one.
    #[must_use]
    pub const fn new(key: SecretString, file: Option<PathBuf>) -> Self {
        Self { key, file }
    }

    /// Whether it can change at all.
    #[must_use]
    pub const fn is_a_file(&self) -> bool {
        self.file.is_some()
    }

    /// The key in the file, if that is another than was last known. A file that can't be read, or is just being written,
    /// has none.
    pub fn changed(&mut self) -> Option<SecretString> {
        let key = api_key::read(self.file.as_ref()?).ok()?;
        if key.expose_secret() == self.key.expose_secret() {
            return None;
        }
        self.key = key.clone();
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_has_changed_is_given_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let mut watch = KeyWatch::new("old".into(), Some(file.clone()));
        assert!(watch.is_a_file() && watch.changed().is_none(), "there is none");
        std::fs::write(&file, "old\n").unwrap();
        assert!(watch.changed().is_none());
        std::fs::write(&file, "new\n").unwrap();
        assert_eq!(watch.changed().unwrap().expose_secret(), "new");
        assert!(watch.changed().is_none());
        assert!(KeyWatch::new("x".into(), None).changed().is_none());
    }
}
