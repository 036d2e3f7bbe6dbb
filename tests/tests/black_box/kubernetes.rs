//! The manifests of deploy/kubernetes: of the form that Kubernetes wants, and with what the programs are and do.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use black_box::binary::Binary;
use black_box::commands::root;
use black_box::process::Launch;
use black_box::redis::RedisServer;
use black_box::skip::skipped;
use serde_json::Value;

/// A tracker's requests have so long to end, and so have those of a matchmaker after it drained.
const END_SECS: u64 = 8;

/// The manifests, each document with its kind; `None`, said loudly, where nothing reads YAML.
fn documents() -> Option<Vec<Value>> {
    let python = tool("python")?;
    let script = "import json, sys, yaml\nfor path in sys.argv[1:]:\n  for document in yaml.safe_load_all(open(path)):\n    print(json.dumps(document))";
    let output = Command::new(python).args(["-c", script]).args(files()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// A program of the environment that tests/run makes.
fn tool(name: &str) -> Option<PathBuf> {
    let path = root().join("target/kubernetes-validate/bin").join(name);
    if !path.is_file() {
        skipped("kubernetes-validate", "tests/run installs it into target/kubernetes-validate");
        return None;
    }
    Some(path)
}

fn files() -> Vec<PathBuf> {
    let folder = fs::read_dir(root().join("deploy/kubernetes")).unwrap();
    let files = folder.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .filter(|path| !path.ends_with("kustomization.yaml"))
        .collect();
    files.sort();
    files
}

/// The document of this kind and name.
#[track_caller]
fn find<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = documents.iter().find(|it| it["kind"] == kind && it["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn setting<'a>(documents: &'a [Value], name: &str) -> &'a str {
    find(documents, "ConfigMap", "p2p-tracker")["data"][name].as_str().unwrap_or_default()
}

const PODS: [(&str, &str, &str); 2] =
    [("Deployment", "tracker", "8001"), ("StatefulSet", "matchmaker", "8002")];

#[test]
fn kubernetes_takes_the_manifests() {
    let Some(validate) = tool("kubernetes-validate") else { return };
    let output = Command::new(validate).arg("--strict").args(files()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("passed"), "{said}");
    // It would say so.
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.yaml");
    let text = fs::read_to_string(root().join("deploy/kubernetes/tracker.yaml")).unwrap();
    fs::write(&bad, text.replace("periodSeconds: 10", "periodSeconds: often")).unwrap();
    let output =
        Command::new(tool("kubernetes-validate").unwrap()).arg("--strict").arg(bad).output().unwrap();
    assert!(!output.status.success());
    let list = fs::read_to_string(root().join("deploy/kubernetes/kustomization.yaml")).unwrap();
    for file in files() {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(list.contains(&name), "{name} is not in the list");
    }
}

#[test]
fn probes_ask_the_admin_listener_and_nobody_else_may() {
    let Some(documents) = documents() else { return };
    for (kind, name, port) in PODS {
        let pod = &find(&documents, kind, name)["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let ports = container["ports"].as_array().unwrap();
        let admin = ports.iter().find(|port| port["name"] == "admin").unwrap();
        assert_eq!(admin["containerPort"].to_string(), port);
        let listen = format!("{}_ADMIN_LISTEN", name.to_uppercase());
        assert_eq!(setting(&documents, &listen), format!("0.0.0.0:{port}"));
        for (probe, path) in
            [("startupProbe", "/live"), ("livenessProbe", "/live"), ("readinessProbe", "/ready")]
        {
            let get = &container[probe]["httpGet"];
            assert_eq!((&get["path"], &get["port"]), (&path.into(), &"admin".into()), "{name} {probe}");
        }
        let policy = &find(&documents, "NetworkPolicy", name)["spec"]["ingress"];
        for rule in policy.as_array().unwrap() {
            let is_admin = rule["ports"].as_array().unwrap().iter().any(|port| port["port"] == "admin");
            assert_eq!(is_admin, rule["from"].is_array(), "{name}: {rule}");
        }
        let services = documents.iter().filter(|it| it["kind"] == "Service");
        let offered = services.flat_map(|service| service["spec"]["ports"].as_array().unwrap().clone());
        assert!(offered.into_iter().all(|port| port["targetPort"] != "admin"), "no service offers it");
    }
}

#[test]
fn a_pod_is_not_killed_before_it_has_drained() {
    let Some(documents) = documents() else { return };
    let grace = |kind: &str, name: &str| {
        let pod = &find(&documents, kind, name)["spec"]["template"]["spec"];
        let sleep = &pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1];
        let sleep: u64 = sleep.as_str().map_or(0, |secs| secs.parse().unwrap());
        (pod["terminationGracePeriodSeconds"].as_u64().unwrap(), sleep)
    };
    let (tracker, sleep) = grace("Deployment", "tracker");
    assert!(sleep > 0 && tracker > sleep + END_SECS, "{tracker} s and {sleep} s");
    let (matchmaker, sleep) = grace("StatefulSet", "matchmaker");
    let drain: u64 = setting(&documents, "DRAIN_SECS").parse().unwrap();
    assert!(matchmaker > drain + sleep + END_SECS, "{matchmaker} s and {drain} s");
    for (kind, name, _) in PODS {
        let labels = &find(&documents, kind, name)["spec"]["selector"];
        let budget = &find(&documents, "PodDisruptionBudget", name)["spec"];
        assert_eq!((&budget["selector"], &budget["maxUnavailable"]), (labels, &1.into()), "{name}");
        let replicas = find(&documents, kind, name)["spec"]["replicas"].as_u64().unwrap();
        assert!(replicas > 1, "{name}");
    }
}

#[test]
fn pods_are_nobody_and_may_nothing() {
    let Some(documents) = documents() else { return };
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    for (kind, name, _) in PODS {
        let pod = &find(&documents, kind, name)["spec"]["template"]["spec"];
        let user = pod["securityContext"]["runAsUser"].as_u64().unwrap();
        let added = dockerfile
            .lines()
            .find(|line| line.trim_end_matches(" \\").ends_with(&format!("nologin {name}")));
        assert!(added.unwrap().contains(&format!("--uid {user} ")), "{name} in the image is another user");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["automountServiceAccountToken"], false);
        let container = &pod["containers"][0];
        let may = &container["securityContext"];
        assert_eq!(
            (&may["allowPrivilegeEscalation"], &may["readOnlyRootFilesystem"]),
            (&false.into(), &true.into())
        );
        assert_eq!(may["capabilities"]["drop"][0], "ALL");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{name}");
    }
}

#[test]
fn each_matchmaker_has_a_service_for_udp_that_hides_no_address() {
    let Some(documents) = documents() else { return };
    let replicas = find(&documents, "StatefulSet", "matchmaker")["spec"]["replicas"].as_u64().unwrap();
    let public = find(&documents, "ConfigMap", "matchmaker-public")["data"].as_object().unwrap();
    assert_eq!(public.len() as u64, replicas);
    for index in 0..replicas {
        let name = format!("matchmaker-{index}");
        let service = &find(&documents, "Service", &name)["spec"];
        assert_eq!(service["selector"]["statefulset.kubernetes.io/pod-name"], name);
        assert_eq!(
            (&service["type"], &service["externalTrafficPolicy"]),
            (&"LoadBalancer".into(), &"Local".into())
        );
        assert_eq!(service["publishNotReadyAddresses"], true);
        assert_eq!(
            (&service["ports"][0]["protocol"], &service["ports"][0]["port"]),
            (&"UDP".into(), &12_345.into())
        );
        assert!(public.contains_key(&format!("{name}.toml")));
    }
}

#[test]
fn the_programs_start_with_the_settings_of_the_manifests() {
    let Some(documents) = documents() else { return };
    let redis = RedisServer::start_new();
    let settings = find(&documents, "ConfigMap", "p2p-tracker")["data"].as_object().unwrap();
    let public = find(&documents, "ConfigMap", "matchmaker-public")["data"].as_object().unwrap();
    for (binary, files) in [(Binary::Tracker, 0), (Binary::Matchmaker, public.len())] {
        for index in 0..files.max(1) {
            let mut launch = Launch::new(binary);
            // Several would want the same ports here.
            for (name, value) in settings.iter().filter(|(name, _)| !name.ends_with("_LISTEN")) {
                launch = launch.set(name, value.as_str().unwrap());
            }
            launch = launch.set("REDIS_URL", &redis.url());
            if let Some(text) = public.get(&format!("matchmaker-{index}.toml")).filter(|_| files > 0) {
                fs::write(launch.home().join("pod.toml"), text.as_str().unwrap()).unwrap();
                launch = launch.argument("--config").argument("pod.toml");
            }
            launch.start().assert_sound();
        }
    }
}
