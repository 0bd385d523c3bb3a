"""The chart, rendered by helm itself: its defaults make what the kustomize base makes, and all of it is valid."""

import json
import re
import subprocess
from functools import cache
from typing import Any

import kubernetes_validate
import yaml

from dispatcher.container import Container
from dispatcher.sdk import version as sdk_version
from dispatcher.settings import Settings
from dispatcher.version import VERSION
from dispatcher.web.app import create_app
from tests.support.builders import SECRET_KEY
from tests.support.places import ROOT
from tests.support.processes import PROGRAMS

CHART = ROOT / "deploy" / "helm" / "dispatcher"
BASE = ROOT / "deploy" / "kubernetes"
KUBERNETES = "1.34"
OPERATORS = {"ServiceMonitor", "PodMonitor"}  # Prometheus' own kinds
ONLY_HELMS = {
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
}
SCALED = {"enabled": True, "minReplicas": 3, "maxReplicas": 9}
ALL: dict[str, Any] = {
    "image": {"digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    "config": {"DISPATCHER_PUBLIC_URL": "https://hooks.example.com"},
    "podSpec": {"imagePullSecrets": [{"name": "registry"}], "nodeSelector": {"kubernetes.io/os": "linux"}},
    "web": {"autoscaling": SCALED},
    "workers": {
        "worker": {"autoscaling": SCALED},
        "fan-out": {
            "node": "fan-out",
            "queues": "events",
            "threads": 4,
            "replicas": 1,
            "resources": {},
            "autoscaling": {"enabled": False},
        },
    },
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "hosts": ["hooks.example.com"],
        "tls": [{"hosts": ["hooks.example.com"], "secretName": "hooks-tls"}],
    },
    "networkPolicy": {"extraEgress": [{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}]},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
}


def run(*command: str, values: Any = None) -> subprocess.CompletedProcess[str]:
    text = json.dumps(values or {})
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


def helm(values: Any = None, release: str = "dispatcher") -> subprocess.CompletedProcess[str]:
    return run(str(PROGRAMS / "helm"), "template", release, str(CHART), "--values", "-", values=values)


@cache
def rendered(every_value: bool = False) -> list[dict[str, Any]]:
    """With the defaults, or with all that can be switched on."""
    done = helm(ALL if every_value else None)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def one(kind: str, name: str, every_value: bool = False) -> dict[str, Any]:
    (found,) = (
        each
        for each in rendered(every_value)
        if each["kind"] == kind and each["metadata"]["name"] == f"dispatcher-{name}"
    )
    return found


def test_with_its_defaults_it_makes_what_the_kustomize_base_makes() -> None:
    done = run(str(PROGRAMS / "kubectl"), "kustomize", str(BASE))
    assert done.returncode == 0, done.stderr
    base = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout)}

    chart = {(one["kind"], one["metadata"]["name"]): one for one in map(plain, rendered())}
    hooks_copy = chart.pop(("ConfigMap", "migrate"))

    assert hooks_copy["data"] == chart["ConfigMap", "dispatcher"]["data"]
    assert chart.keys() == base.keys()
    for name, manifest in base.items():
        assert chart[name] == manifest, name


def plain(manifest: Any) -> Any:
    """Without what only helm writes: the release before names, its labels, annotations, and the hook's own config."""
    if isinstance(manifest, list):
        return [plain(each) for each in manifest]
    if not isinstance(manifest, dict):
        return re.sub("^dispatcher-", "", manifest) if isinstance(manifest, str) else manifest
    if manifest.get("configMapRef") == {"name": "dispatcher-migrate"}:
        return {"configMapRef": {"name": "dispatcher"}}
    made = {key: plain(value) for key, value in manifest.items() if key not in {*ONLY_HELMS, "annotations"}}
    return {key: value for key, value in made.items() if (key, value) != ("matchLabels", {})}


def test_everything_that_can_be_switched_on_is_what_kubernetes_knows() -> None:
    kinds = {manifest["kind"] for manifest in rendered(True)}
    assert kinds >= OPERATORS | {"HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "PodDisruptionBudget"}

    for manifest in rendered(True):
        if manifest["kind"] not in OPERATORS:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_values_reach_what_they_are_for() -> None:
    worker, web = one("Deployment", "worker", True), one("Deployment", "web", True)
    pod = worker["spec"]["template"]["spec"]

    assert pod["containers"][0]["image"] == f"dispatcher@{ALL['image']['digest']}"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert "replicas" not in worker["spec"] | web["spec"]  # the autoscaler's
    assert one("HorizontalPodAutoscaler", "worker", True)["spec"]["maxReplicas"] == SCALED["maxReplicas"]
    assert (
        "-c 4 -Q events -n fan-out$"
        in one("Deployment", "fan-out", True)["spec"]["template"]["spec"]["containers"][0]["args"][0]
    )
    (selected,) = one("NetworkPolicy", "worker", True)["spec"]["podSelector"]["matchExpressions"]
    assert selected["values"] == ["fan-out", "worker", "worker-slow"]
    assert ALL["networkPolicy"]["extraEgress"][0] in one("NetworkPolicy", "web", True)["spec"]["egress"]
    # A changed configuration starts new pods, as nothing reads it twice.
    assert (
        web["spec"]["template"]["metadata"]["annotations"]
        != one("Deployment", "web")["spec"]["template"]["metadata"]["annotations"]
    )


def test_the_ingress_leads_to_every_route_but_those_that_ask_for_no_token() -> None:
    (rule,) = one("Ingress", "web", True)["spec"]["rules"]
    nowhere: Any = {"database_url": "postgresql://x/y", "redis_url": "redis://x", "broker_url": "redis://x"}
    app = create_app(Container(Settings(**nowhere, secret_keys=(SECRET_KEY,))))

    routes = {f"/{route.rule.split('/')[1]}" for route in app.url_map.iter_rules()}
    assert {path["path"] for path in rule["http"]["paths"]} == routes - {"/healthz", "/readyz", "/metrics"}


def test_migrations_run_before_the_rest_with_what_they_need() -> None:
    job, config, policy = one("Job", "migrate"), one("ConfigMap", "migrate"), one("NetworkPolicy", "migrate")

    hooks = [each["metadata"]["annotations"] for each in (job, config, policy)]
    assert {each["helm.sh/hook"] for each in hooks} == {"pre-install,pre-upgrade"}
    assert [int(each.get("helm.sh/hook-weight", 0)) for each in hooks] == [0, -5, -5]
    assert job["spec"]["template"]["spec"]["containers"][0]["envFrom"] == [
        {"configMapRef": {"name": config["metadata"]["name"]}},
        {"secretRef": {"name": "dispatcher"}},
    ]
    assert not any(each["kind"] == "Secret" for each in rendered(True))  # they are made before, and not by values


def test_two_releases_in_a_namespace_select_nothing_of_each_other() -> None:
    for manifest in rendered(True):
        spec = manifest.get("spec", {})
        for selector in (spec.get("selector"), spec.get("podSelector")):
            if selector:
                labels = selector.get("matchLabels", selector)
                assert labels["app.kubernetes.io/instance"] == "dispatcher", manifest["metadata"]
    assert "name: hooks-dispatcher-web\n" in helm(release="hooks").stdout


REFUSED: tuple[tuple[Any, str], ...] = (
    ({"wbe": {"replicas": 1}}, "wbe"),
    ({"image": {"digest": "latest"}}, "digest"),
    ({"config": {"SECRET_KEYS": "a-secret-in-a-config-map"}}, "SECRET_KEYS"),
    ({"config": {"DISPATCHER_RETRY_LIMIT": 5}}, "DISPATCHER_RETRY_LIMIT"),
    ({"workers": {"worker": {"queues": "deliverys"}}}, "queues"),
    ({"workers": {"worker-slow": None}}, "none takes the queue deliveries.slow"),
    ({"ingress": {"enabled": True}}, "hosts"),
)


def test_values_that_are_wrong_are_refused_by_name() -> None:
    for values, problem in REFUSED:
        done = helm(values)

        assert done.returncode == 1, values
        assert problem in done.stderr, values


def test_a_release_has_one_version_everywhere() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    base = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    typescript = json.loads((ROOT / "sdks" / "typescript" / "package.json").read_text())
    versions = {
        chart["version"],
        chart["appVersion"],
        base["images"][0]["newTag"],
        typescript["version"],
        sdk_version.VERSION,
    }

    assert versions == {VERSION}
    assert f"\n## {VERSION}" in (ROOT / "CHANGELOG.md").read_text()
