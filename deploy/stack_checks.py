"""What is wrong before a stack is deployed, all of it at once."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from commons.errors import DiceboxError
from deploy.stack_engine import Docker, DockerError
from deploy.stack_names import IMAGES
from deploy.stack_secrets import OUTSIDE, PARTS, secret_name

LABELS = ("front", "data", "trains")
_PORTS = {"HTTP_PORT": "80", "HTTPS_PORT": "443"}
_LARGEST_PORT = 65535
_NANO, _ALL_NANO = 1e9, 1e12


def swarm_faults(docker: Docker) -> list[str]:
    """Return why this engine takes no stacks; nothing if it does."""
    try:
        state = docker("info", "--format", "{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}")
    except DockerError as error:
        return [str(error)]
    if not state.startswith("active"):
        return ["this engine is in no swarm: docker swarm init --advertise-addr ADDRESS"]
    if not state.endswith("true"):
        return ["this node is no manager of its swarm: run this on one, or docker node promote it"]
    return []


def faults(docker: Docker, names: Mapping[str, str], environ: Mapping[str, str]) -> list[str]:
    """Return all that would keep a stack from running, a line each.

    Args:
        docker: The engine of a manager.
        names: What stack.yml is filled with.
        environ: The rest of what it may be told.
    """
    found = swarm_faults(docker)
    if found:
        return found
    nodes = docker.inspect("node", docker.lines("node", "ls", "--quiet"))
    return [
        *_label_faults(nodes, environ),
        *_core_faults(nodes, environ),
        *_secret_faults(docker, names),
        *_image_faults(docker, names, environ, len(nodes)),
        *_port_faults(docker, names, environ),
        *_folder_faults(names, len(nodes)),
    ]


def _label_faults(nodes: Sequence[Mapping[str, object]], environ: Mapping[str, str]) -> list[str]:
    wanted = [label for label in LABELS if label != "trains" or _trains(environ)]
    found = []
    for label in wanted:
        having = [node for node in nodes if _labels(node).get(f"dicebox.{label}") == "true"]
        if not having:
            found.append(
                f"no node has the label dicebox.{label}=true: "
                f"docker node update --label-add dicebox.{label}=true NODE"
            )
        elif label == "data" and len(having) > 1:
            found.append(
                "more than one node has the label dicebox.data=true, and the database has its "
                "volume on one of them: docker node update --label-rm dicebox.data NODE"
            )
    return found


def _core_faults(nodes: Sequence[Mapping[str, object]], environ: Mapping[str, str]) -> list[str]:
    text = environ.get("CPUS") or "2"
    try:
        cpus = float(text)
    except ValueError:
        return [f"CPUS: expected a number of cores, got {text!r}"]
    # Docker refuses a task that may take more cores than its node has.
    fewest = min((_cores(node) for node in nodes), default=cpus)
    return [f"CPUS: a node has {fewest:g} cores: CPUS={fewest:g}"] if fewest < cpus else []


def _cores(node: Mapping[str, object]) -> float:
    said = node.get("Description")
    resources = said.get("Resources", {}) if isinstance(said, dict) else {}
    return float(resources.get("NanoCPUs", _ALL_NANO)) / _NANO


def _trains(environ: Mapping[str, str]) -> bool:
    return environ.get("TRAINERS") != "0"


def _labels(node: Mapping[str, object]) -> Mapping[str, str]:
    spec = node.get("Spec")
    labels = spec.get("Labels") if isinstance(spec, dict) else None
    return labels if isinstance(labels, dict) else {}


def _secret_faults(docker: Docker, names: Mapping[str, str]) -> list[str]:
    there = set(docker.lines("secret", "ls", "--format", "{{.Name}}"))
    wanted = [
        secret_name(names["STACK"], secret, names)
        for secrets in PARTS.values()
        for secret in secrets
        if secret not in OUTSIDE
    ]
    return [
        f"secret {name} does not exist: python -m deploy.stack secrets"
        for name in wanted
        if name not in there
    ]


def _image_faults(
    docker: Docker, names: Mapping[str, str], environ: Mapping[str, str], nodes: int
) -> list[str]:
    there = set(docker.lines("image", "ls", "--format", "{{.Repository}}:{{.Tag}}"))
    found = []
    for variable in IMAGES:
        image = names[variable]
        if variable == "TRAINER_IMAGE" and not _trains(environ):
            continue
        # One with a registry's name may be pulled, and is then nobody's fault here.
        if image in there or "." in image.partition("/")[0] or ":" in image.partition("/")[0]:
            continue
        where = "here" if nodes == 1 else "on this node (others cannot be asked)"
        found.append(f"image {image} is not {where}: python -m deploy.images build")
    return found


def _port_faults(docker: Docker, names: Mapping[str, str], environ: Mapping[str, str]) -> list[str]:
    services = docker.lines("service", "ls", "--format", "{{.Name}}")
    found = []
    for variable, usual in _PORTS.items():
        text = environ.get(variable) or usual
        if not (text.isdecimal() and 0 < int(text) <= _LARGEST_PORT):
            found.append(f"{variable}: expected a port from 1 to {_LARGEST_PORT}, got {text!r}")
        elif f"{names['STACK']}_nginx" not in services:
            try:
                socket.create_server(("", int(text))).close()
            except OSError as error:
                found.append(f"{variable}: port {text} of this node: {error.strerror}")
    return found


def _folder_faults(names: Mapping[str, str], nodes: int) -> list[str]:
    device = names["BLOBS_DEVICE"]
    if names["BLOBS_TYPE"] == "none" and not Path(device).is_dir():
        where = "" if nodes == 1 else ", and every node needs it"
        return [f"BLOBS_DEVICE: {device} is no folder of this node{where}"]
    return []


class ChecksFailedError(DiceboxError):
    """All that was found, a line each."""

    kind = "not-deployable"

    def __init__(self, found: Sequence[str]) -> None:
        super().__init__("\n".join(found))
