//! The manifests of `deploy/kubernetes` are what Kubernetes takes: each is read into its kind's own type, which loses nothing of
//! it, so that no key is misspelt or at the wrong place.

use std::{collections::BTreeSet, fs};

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::{ConfigMap, Namespace},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::documents::files;

/// The values of a document by their place.
fn places(value: &Value, place: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| places(value, &format!("{place}.{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| places(value, &format!("{place}[{n}]"), found));
        }
        value => {
            found.insert(format!("{place} = {value}"));
        }
    }
}

/// Reads a document as a kind, and back.
fn assert_is<T: DeserializeOwned + Serialize>(file: &str, document: &Value) {
    let read: T = serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (mut written, mut kept) = (BTreeSet::new(), BTreeSet::new());
    places(document, "", &mut written);
    places(&serde_json::to_value(read).expect("JSON"), "", &mut kept);
    let lost: Vec<_> = written.difference(&kept).collect();
    assert!(lost.is_empty(), "{file}: not known to Kubernetes: {lost:#?}");
}

#[test]
fn every_manifest_is_of_its_kind() {
    let mut kinds = BTreeSet::new();
    for path in files("deploy/kubernetes", ".yaml") {
        let text = fs::read_to_string(&path).expect("text");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        assert!(!documents.is_empty(), "{}", path.display());
        for document in documents {
            let (file, kind) = (path.display().to_string(), document["kind"].as_str().unwrap_or_default());
            match kind {
                "DaemonSet" => assert_is::<DaemonSet>(&file, &document),
                "Deployment" => assert_is::<Deployment>(&file, &document),
                "ConfigMap" => assert_is::<ConfigMap>(&file, &document),
                "Namespace" => assert_is::<Namespace>(&file, &document),
                "Kustomization" => assert_resources(&path, &document),
                other => panic!("{file}: a manifest of kind {other:?}"),
            }
            kinds.insert(kind.to_owned());
        }
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}

/// A kustomization names files that are there.
fn assert_resources(path: &std::path::Path, document: &Value) {
    let named = document["resources"].as_array().expect("resources");
    for name in named.iter().filter_map(Value::as_str) {
        assert!(path.with_file_name(name).exists(), "{}: {name} is not there", path.display());
    }
    let known =
        ["apiVersion", "kind", "namespace", "resources", "labels", "images", "configMapGenerator", "patches"];
    let keys = document.as_object().expect("a map").keys();
    keys.for_each(|key| assert!(known.contains(&key.as_str()), "{}: {key}", path.display()));
}

#[test]
fn a_key_at_the_wrong_place_is_found() {
    let wrong = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "lables": {"b": "c"}}});
    let found = std::panic::catch_unwind(|| assert_is::<Namespace>("a file", &wrong));
    assert!(found.is_err());
}
