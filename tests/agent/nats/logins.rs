//! Who the agent is for a real server: a token, a key of its own, a credentials file, and certificates of the test's own.

use std::{fs, path::Path};

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::{Server, message};
use crate::support::{Stage, soon};

/// A configuration that reads from a server with such a login.
fn toml(stage: &Stage, url: &str, keys: &str) -> String {
    format!(
        "[honeycomb]\napi_url = {:?}\n[state]\ndir = {:?}\n[batch]\nmax_age_ms = 50\n[[source]]\ntype = \"nats\"\nurl = {url:?}\n{keys}\n",
        stage.hive.url(),
        stage.path("state"),
    )
}

/// Whether the agent hears what another client says, who comes in by `options`.
async fn assert_heard(stage: &Stage, server: &Server, keys: &str, options: async_nats::ConnectOptions) {
    let url =
        format!("{}://localhost:{}", if keys.contains("ca_file") { "tls" } else { "nats" }, server.port);
    let agent = stage.start(&toml(stage, &url, keys), false);
    let client = soon("a connection", options.connect(&url)).await.expect("a connection");
    super::until_heard(stage, &client).await;
    agent.stopped().await;
}

fn options() -> async_nats::ConnectOptions {
    async_nats::ConnectOptions::new()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_in() {
    let Some(server) = Server::configured("authorization { token: s3cret }").await else { return };
    let stage = Stage::new().await;
    fs::write(stage.path("token"), "s3cret\n").expect("room on the disk");
    let keys = format!("token_file = {:?}", stage.path("token"));
    assert_heard(&stage, &server, &keys, options().token("s3cret".into())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_its_own_lets_in() {
    let user = KeyPair::new_user();
    let users = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", user.public_key());
    let Some(server) = Server::configured(&users).await else { return };
    let (stage, seed) = (Stage::new().await, user.seed().expect("its own seed"));
    fs::write(stage.path("seed.nk"), &seed).expect("room on the disk");
    let keys = format!("nkey_file = {:?}", stage.path("seed.nk"));
    assert_heard(&stage, &server, &keys, options().nkey(seed)).await;
}

/// A token as NATS wants it: claims, signed by the key that gives them.
fn jwt(by: &KeyPair, about: &KeyPair, nats: &Value) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let claims = json!({
        "jti": "test", "iat": 1_700_000_000, "iss": by.public_key(), "sub": about.public_key(), "name": "test", "nats": nats,
    });
    let text = format!("{}.{}", part(&json!({"typ": "JWT", "alg": "ed25519-nkey"})), part(&claims));
    let signature = by.sign(text.as_bytes()).expect("a seed");
    format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credentials_file_lets_in() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let system = KeyPair::new_account();
    let none = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
    });
    let of_operator = jwt(&operator, &operator, &json!({"type": "operator", "version": 2}));
    let of_account = |about: &KeyPair| {
        let text = jwt(&operator, about, &json!({"type": "account", "version": 2, "limits": none}));
        format!("{}: {text}", about.public_key())
    };
    let of_user = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
    let of_user = jwt(&account, &user, &of_user);
    let settings = format!(
        "operator: {of_operator}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}, {} }}",
        system.public_key(),
        of_account(&account),
        of_account(&system),
    );
    let Some(server) = Server::configured(&settings).await else { return };
    let stage = Stage::new().await;
    let seed = user.seed().expect("its own seed");
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    fs::write(stage.path("user.creds"), &text).expect("room on the disk");
    let keys = format!("creds_file = {:?}", stage.path("user.creds"));
    let options = async_nats::ConnectOptions::with_credentials(&text).expect("sound credentials");
    assert_heard(&stage, &server, &keys, options).await;
}

/// Writes a certificate for `localhost` and its key.
fn certify(dir: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(dir.join("cert.pem"), made.cert.pem()).expect("room on the disk");
    fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).expect("room on the disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_its_own_is_trusted_where_it_is_named_only() {
    let stage = Stage::new().await;
    certify(stage.dir.path());
    let (cert, key) = (stage.path("cert.pem"), stage.path("key.pem"));
    let tls = format!("tls {{ cert_file: {cert:?}, key_file: {key:?} }}");
    let Some(server) = Server::configured(&tls).await else { return };
    let url = format!("tls://localhost:{}", server.port);
    let doubting = stage.start(&toml(&stage, &url, ""), false);
    let client = options().add_root_certificates(cert.clone()).require_tls(true).connect(&url);
    let client = soon("a connection", client).await.expect("a connection");
    for _ in 0..20 {
        client.publish("logs.a.b.c", message("a", "unheard").into()).await.expect("a connection");
        client.flush().await.expect("a connection");
    }
    assert_eq!(doubting.stopped().await.read, 0, "the server is not known");
    let options = options().add_root_certificates(cert.clone()).require_tls(true);
    assert_heard(&stage, &server, &format!("ca_file = {cert:?}"), options).await;
}
