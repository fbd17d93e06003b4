//! The systemd unit by systemd's own judgement, and what the agent tells systemd.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    process::{Command, Output},
    time::Instant,
};

use crate::support::{PATIENCE, Stage, hivetail, signal};

const UNIT: &str = "systemd/hivetail.service";

/// Runs systemd-analyze; `None` where there is none, which `tests/tools` has said. In CI there is.
fn systemd_analyze(args: &[&str]) -> Option<Output> {
    let ran = Command::new("systemd-analyze").args(args).output();
    assert!(ran.is_ok() || std::env::var_os("CI").is_none(), "CI has systemd-analyze");
    ran.ok()
}

#[test]
fn the_units_exposure_is_low() {
    // In tenths.
    let Some(output) = systemd_analyze(&["security", "--offline=true", "--threshold=15", UNIT]) else {
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_unit_is_sound() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = fs::read_to_string(UNIT).expect("the unit");
    // As it would be where the package is installed.
    let installed =
        text.replace("/usr/bin/hivetail", env!("CARGO_BIN_EXE_hivetail")).replace("man:hivetail(1) ", "");
    assert_ne!(installed, text);
    let unit = dir.path().join("hivetail.service");
    fs::write(&unit, installed).expect("room on the disk");
    let Some(output) = systemd_analyze(&["verify", unit.to_str().expect("text")]) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("hivetail"), "{said}");
}

#[tokio::test]
async fn systemd_hears_that_the_agent_is_ready_and_well_and_stops() {
    let stage = Stage::new().await;
    let config = stage.config_file(&stage.toml("a.log", "", ""));
    let address = stage.path("notify");
    let socket = UnixDatagram::bind(&address).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut command = hivetail();
    command.args(["run", "-c"]).arg(&config).env("NOTIFY_SOCKET", &address).env("WATCHDOG_USEC", "100000");
    let heard = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("it starts");
        let mut heard = Vec::new();
        let (start, mut stopped) = (Instant::now(), false);
        while heard.last().map(String::as_str) != Some("STOPPING=1\n") && start.elapsed() < PATIENCE {
            let mut message = [0; 256];
            let len = socket.recv(&mut message).expect("a message");
            heard.push(String::from_utf8_lossy(&message[..len]).into_owned());
            if !stopped && heard.iter().filter(|message| message.contains("WATCHDOG=1")).count() == 3 {
                stopped = true;
                signal(&child, "TERM");
            }
        }
        assert!(child.wait().expect("it ends").success());
        heard
    });
    let heard = heard.await.expect("no panic");
    assert_eq!(heard.iter().filter(|message| message.contains("READY=1")).count(), 1, "{heard:?}");
}
