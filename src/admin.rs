//! The admin endpoint: how the agent fares, for probes, for Prometheus and for people.
//!
//! Takes the instruments, serves HTTP/1.1 on a Unix socket in the state directory and, if the configuration says so, on a
//! TCP address. It only answers questions; nothing here changes anything.
//!
//! Invariant: whoever asks can't slow the agent down: connections are few, short and read little.

mod answer;

use std::{
    convert::Infallible,
    fs::{self, Permissions},
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinSet,
};
use tokio_util::either::Either;

pub use answer::Desk;

/// The socket in the state directory.
const SOCKET: &str = "admin.sock";
/// More connections wait.
const CONNECTIONS_MAX: usize = 16;
/// For one connection; asking 20,000 files for their sizes takes a tenth of a second.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes that a question may have.
const QUESTION_BYTES_MAX: usize = 16 * 1024;
/// Wait after a failed accept, which usually means that the process is out of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// Where the socket of a state directory is.
#[must_use]
pub fn socket_path(state_dir: &Path) -> PathBuf {
    state_dir.join(SOCKET)
}

/// The endpoint, listening.
#[derive(Debug)]
pub struct Admin {
    unix: Option<(UnixListener, PathBuf)>,
    tcp: Option<TcpListener>,
}

impl Admin {
    /// Listens. A socket that can't be is said, and the agent runs without.
    ///
    /// # Errors
    /// When a TCP address was asked for and can't be listened on.
    pub async fn listen(
        state_dir: Option<&Path>,
        address: Option<SocketAddr>,
    ) -> Result<Self, (SocketAddr, io::Error)> {
        let tcp = match address {
            Some(address) => Some(TcpListener::bind(address).await.map_err(|error| (address, error))?),
            None => None,
        };
        let unix = state_dir.map(socket_path).and_then(|path| match bind(&path) {
            Ok(listener) => Some((listener, path)),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "no admin socket: `hivetail status` will not work");
                None
            }
        });
        Ok(Self { unix, tcp })
    }

    /// Answers until dropped. Who keeps one listener busy keeps nobody waiting at the other.
    pub async fn run(self, desk: Desk) {
        let desk = Arc::new(desk);
        let unix = self.unix.as_ref().map(|(listener, _)| Either::Left(listener));
        let tcp = self.tcp.as_ref().map(Either::Right);
        tokio::join!(answer_all(unix, &desk), answer_all(tcp, &desk));
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.unix {
            // What is left behind is replaced by the next start.
            let _ = fs::remove_file(path);
        }
    }
}

/// Listens on a socket that only this user may use. One that is there is left from a kill: the state directory is ours.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers on a listener for ever, if there is one.
async fn answer_all(listener: Option<Either<&UnixListener, &TcpListener>>, desk: &Arc<Desk>) {
    let (Some(listener), mut connections) = (listener, JoinSet::new()) else { return };
    loop {
        let has_room = connections.len() < CONNECTIONS_MAX;
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener), if has_room => serve(&mut connections, accepted, desk).await,
        }
    }
}

async fn accept(listener: &Either<&UnixListener, &TcpListener>) -> io::Result<Either<UnixStream, TcpStream>> {
    Ok(match listener {
        Either::Left(listener) => Either::Left(listener.accept().await?.0),
        Either::Right(listener) => Either::Right(listener.accept().await?.0),
    })
}

async fn serve(
    connections: &mut JoinSet<()>,
    accepted: io::Result<Either<UnixStream, TcpStream>>,
    desk: &Arc<Desk>,
) {
    let Ok(stream) = accepted else { return tokio::time::sleep(ACCEPT_RETRY).await };
    let desk = Arc::clone(desk);
    connections.spawn(async move {
        let service = service_fn(async |question| Ok::<_, Infallible>(desk.answer(&question).await));
        let connection = http1::Builder::new()
            .max_buf_size(QUESTION_BYTES_MAX)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        // An error here is somebody who hung up, or was too slow.
        let _ = tokio::time::timeout(TIMEOUT, connection).await;
    });
}
