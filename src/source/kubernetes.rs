//! Kubernetes: which container wrote a log file, as the file's path tells.
//!
//! ```text
//! /var/log/pods/<namespace>_<pod>_<uid>/<container>/<restart count>.log
//! /var/log/containers/<pod>_<namespace>_<container>-<id>.log
//! ```
//!
//! Takes a path below whatever folder, gives the container and the fields that its events have, or `None`. Names in
//! Kubernetes have no `_`.
//!
//! Invariant: what a path tells depends on the path alone; neither cluster nor file is asked.

use std::path::Path;

use crate::encode::Constants;

/// What [`Container::tell`] may set: lines can't.
pub const NAMES: [&str; 7] = [
    "container.id",
    "k8s.container.name",
    "k8s.container.restart_count",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.pod.uid",
    "service.name",
];

/// How long kubelet lets a link's name become before `.log`: the rest is cut off.
const LINK_BYTES_MAX: usize = 251;
/// How long a container's id is.
const ID_BYTES: usize = 64;
/// How long kubelet lets a pod's host name become.
const HOSTNAME_BYTES_MAX: usize = 63;

/// A container, as far as the path of its log file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its pod's namespace.
    pub namespace: String,
    /// Its pod.
    pub pod: String,
    /// Its pod's unique id; of a static pod the hash of its configuration.
    pub uid: Option<String>,
    /// Its name in the pod.
    pub name: String,
    /// How many times it was started before.
    pub restart_count: Option<u32>,
    /// The runtime's id of it.
    pub id: Option<String>,
}

impl Container {
    /// The container that writes the file of that path, rotated files included.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let stem = stem(path.file_name()?.to_str()?)?;
        let folder = path.parent();
        folder.and_then(|folder| Self::of_pods(folder, stem)).or_else(|| Self::of_containers(stem))
    }

    /// Of a file named `stem` in a container's folder in `/var/log/pods`.
    fn of_pods(folder: &Path, stem: &str) -> Option<Self> {
        let restart_count = stem.parse().ok().filter(|_| stem.as_bytes()[0].is_ascii_digit())?;
        let name = folder.file_name()?.to_str()?;
        let mut parts = folder.parent()?.file_name()?.to_str()?.rsplitn(3, '_');
        let (uid, pod, namespace) = (parts.next()?, parts.next()?, parts.next()?);
        if [uid, pod, namespace].iter().any(|part| part.is_empty()) {
            return None;
        }
        Some(Self {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            uid: Some(uid.to_owned()),
            name: name.to_owned(),
            restart_count: Some(restart_count),
            id: None,
        })
    }

    /// Of a link named `stem` in `/var/log/containers`.
    fn of_containers(stem: &str) -> Option<Self> {
        let mut parts = stem.splitn(3, '_');
        let (pod, namespace, last) = (parts.next()?, parts.next()?, parts.next()?);
        let (name, id) = name_and_id(last, stem.len() >= LINK_BYTES_MAX);
        if [pod, namespace, name].iter().any(|part| part.is_empty()) {
            return None;
        }
        Some(Self {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            uid: None,
            name: name.to_owned(),
            restart_count: None,
            id: id.map(str::to_owned),
        })
    }

    /// Its fields that are text; `service.name` is its name.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("service.name", Some(self.name.as_str())),
            ("k8s.namespace.name", Some(&self.namespace)),
            ("k8s.pod.name", Some(&self.pod)),
            ("k8s.pod.uid", self.uid.as_deref()),
            ("k8s.container.name", Some(&self.name)),
            ("container.id", self.id.as_deref()),
        ];
        fields.into_iter().filter_map(|(name, text)| Some((name, text?)))
    }

    /// Adds all its fields to a stream's, but for those that configuration has set.
    pub fn tell(&self, constants: &mut Constants, configured: &[(String, String)]) {
        let is_set = |name: &str| configured.iter().any(|(set, _)| set == name);
        for (name, text) in self.fields().filter(|(name, _)| !is_set(name)) {
            constants.push(name, text);
        }
        if let Some(count) = self.restart_count {
            constants.push_int("k8s.container.restart_count", count.into());
        }
    }
}

/// A log file's name without what follows `.log`: a rotated one has its date there, and `.gz`.
fn stem(name: &str) -> Option<&str> {
    name.strip_suffix(".log").or_else(|| name.rfind(".log.").map(|end| &name[..end]))
}

/// The last part of a link's name, in two: where it was cut short, what may be the rest of an id is none.
fn name_and_id(part: &str, cut: bool) -> (&str, Option<&str>) {
    match part.rsplit_once('-') {
        Some((_, end)) if !end.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) => (part, None),
        Some((name, id)) if id.len() == ID_BYTES => (name, Some(id)),
        Some((name, _)) if cut => (name, None),
        _ => (part, None),
    }
}

/// What the environment tells of the pod that the agent runs in.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `POD_NAME`, which the pod's manifest sets.
    pub pod_name: Option<String>,
    /// `POD_NAMESPACE`, likewise.
    pub pod_namespace: Option<String>,
    /// `KUBERNETES_SERVICE_HOST`, which every container in a cluster has.
    pub service_host: Option<String>,
    /// The machine's name: in a cluster that of the pod.
    pub hostname: Option<String>,
}

impl Environment {
    /// Of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            pod_name: std::env::var("POD_NAME").ok(),
            pod_namespace: std::env::var("POD_NAMESPACE").ok(),
            service_host: std::env::var("KUBERNETES_SERVICE_HOST").ok(),
            hostname: std::fs::read_to_string("/proc/sys/kernel/hostname").ok(),
        }
    }
}

/// The pod that the agent runs in: what it wrote of what it shipped would be shipped, too, and so on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OwnPod {
    /// None that is known of.
    #[default]
    Unknown,
    /// By its name; in whatever namespace, if that was not told.
    Named {
        /// The pod's name.
        name: String,
        /// Its namespace.
        namespace: Option<String>,
    },
    /// By its host name, which is the pod's name, cut short.
    Host(String),
}

impl OwnPod {
    /// As the environment tells.
    #[must_use]
    pub fn of(environment: Environment) -> Self {
        let told = |value: Option<String>| {
            value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let named = told(environment.pod_name);
        let in_cluster = told(environment.service_host).is_some();
        match (named, told(environment.hostname)) {
            (Some(name), _) => Self::Named { name, namespace: told(environment.pod_namespace) },
            (None, Some(hostname)) if in_cluster => Self::Host(hostname),
            _ => Self::Unknown,
        }
    }

    /// Whether that container is one of this pod.
    #[must_use]
    pub fn has(&self, container: &Container) -> bool {
        match self {
            Self::Unknown => false,
            Self::Named { name, namespace } => {
                *name == container.pod && namespace.as_ref().is_none_or(|own| *own == container.namespace)
            }
            Self::Host(hostname) => hostname == hostname_of(&container.pod),
        }
    }
}

/// The host name that kubelet gives a pod.
fn hostname_of(pod: &str) -> &str {
    match pod.get(..HOSTNAME_BYTES_MAX) {
        Some(head) => head.trim_end_matches(['-', '.']),
        None => pod,
    }
}

#[cfg(test)]
mod tests;
