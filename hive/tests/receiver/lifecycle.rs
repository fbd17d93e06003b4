//! Starting, waiting and stopping.

use std::net::{Ipv4Addr, SocketAddr};

use hive::{Hive, Options};
use tokio::io::AsyncReadExt as _;

use crate::client::{batch, connect, in_time, post};

#[tokio::test]
async fn waiting_ends_with_the_event_that_was_waited_for() {
    let hive = Hive::start(Options::default()).await.unwrap();
    let (stats, ()) = in_time(async {
        tokio::join!(
            async {
                hive.wait_for_events(5).await;
                // Counted means stored.
                assert_eq!(hive.events().len(), 5);
                hive.stats()
            },
            async {
                for count in [2, 3] {
                    post(&hive, "a", &batch(count)).await.unwrap();
                }
            }
        )
    })
    .await;
    assert_eq!((stats.requests, stats.events_accepted, stats.datasets), (2, 5, 1));

    in_time(hive.wait_for_events(3)).await;
    in_time(hive.wait_for_requests(2)).await;
}

#[tokio::test]
async fn a_stopped_receiver_frees_its_port_and_cuts_its_connections() {
    let (hive, listen) = on_a_quiet_port().await;
    let mut idle = connect(&hive).await;
    in_time(post(&hive, "a", &batch(1))).await.unwrap();
    in_time(hive.stop()).await;

    let mut bytes = Vec::new();
    in_time(idle.read_to_end(&mut bytes)).await.ok();
    assert_eq!(bytes, b"");

    let again = Hive::start(Options { listen, ..Options::default() }).await.unwrap();
    assert_eq!(again.stats().requests, 0);
    assert_eq!(in_time(post(&again, "a", &batch(1))).await.unwrap().status, 200);
}

/// A receiver on a port that no other test is given once it is free again: those that ask the system for any port get
/// one from 32,768 on (Linux, `ip_local_port_range`).
async fn on_a_quiet_port() -> (Hive, SocketAddr) {
    for port in 20_000..20_100 {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if let Ok(hive) = Hive::start(Options { listen, ..Options::default() }).await {
            return (hive, listen);
        }
    }
    panic!("a hundred ports are in use");
}

#[tokio::test]
async fn a_dropped_receiver_stops() {
    let hive = Hive::start(Options::default()).await.unwrap();
    let mut idle = connect(&hive).await;
    in_time(post(&hive, "a", &batch(1))).await.unwrap();
    drop(hive);

    let mut bytes = Vec::new();
    in_time(idle.read_to_end(&mut bytes)).await.ok();
    assert_eq!(bytes, b"");
}

#[tokio::test]
async fn an_address_in_use_is_an_error() {
    let hive = Hive::start(Options::default()).await.unwrap();
    let listen = hive.url().strip_prefix("http://").unwrap().parse().unwrap();
    let second = Hive::start(Options { listen, ..Options::default() }).await;
    assert_eq!(second.err().unwrap().kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn the_store_keeps_the_newest() {
    let hive = Hive::start(Options { events_max: 3, ..Options::default() }).await.unwrap();
    for _ in 0..2 {
        in_time(post(&hive, "a", &batch(4))).await.unwrap();
    }
    let kept: Vec<_> = hive.events().iter().map(|event| event.data["n"].clone()).collect();
    assert_eq!(kept, [1, 2, 3]);
    assert_eq!(hive.stats().events_accepted, 8);
}

#[tokio::test]
async fn a_sink_counts_and_keeps_nothing() {
    let hive = Hive::start(Options { sink: true, ..Options::default() }).await.unwrap();
    let answer = in_time(post(&hive, "a", &batch(3))).await.unwrap();
    assert_eq!(answer.body, r#"[{"status":202},{"status":202},{"status":202}]"#);
    let stats = hive.stats();
    assert_eq!((stats.requests, stats.events_accepted, stats.datasets), (1, 3, 0));
    assert_eq!(stats.body_bytes, batch(3).len() as u64);
    assert!(hive.events().is_empty());

    assert_eq!(in_time(post(&hive, "a", "[{]")).await.unwrap().status, 400);
}
