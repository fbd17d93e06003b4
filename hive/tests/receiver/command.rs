//! The `hive` command as a script uses it: start, read the URL, send a signal, see it end.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::client::in_time;

#[tokio::test]
async fn the_command_prints_its_url_and_stops_on_signals() {
    for signal in ["INT", "TERM"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hive"))
            .args(["--listen", "127.0.0.1:0", "--sink"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        in_time(stdout.read_line(&mut url)).await.unwrap();
        let address = url.trim_end().strip_prefix("http://").unwrap();
        TcpStream::connect(address).await.unwrap();

        let id = child.id().unwrap().to_string();
        in_time(Command::new("kill").args(["-s", signal, &id]).status()).await.unwrap();
        assert!(in_time(child.wait()).await.unwrap().success(), "{signal}");
        let mut rest = String::new();
        in_time(stdout.read_to_string(&mut rest)).await.unwrap();
        assert_eq!(rest, "", "the URL is all there is");
    }
}
