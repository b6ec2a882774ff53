"""What is done to the stack, one step after another, and what each must come to."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from benchmarks import swarm_client
from benchmarks.frame import WORK
from benchmarks.serving_network import tasks
from benchmarks.swarm_house import STACK, STATEFUL, STATELESS, House
from benchmarks.swarm_images import make_variant
from benchmarks.swarm_ledger import Ledger, lost
from benchmarks.swarm_load import UPLOADED, Load, loaded
from benchmarks.swarm_readme import try_readme
from commons.adapters.services import CLASSIFICATION
from commons.errors import UnavailableError
from deploy.images import image, version
from deploy.stack_engine import DockerError
from deploy.stack_names import IMAGES
from load_generator.outcomes import Fate

_MB = 1e6
_SETTLE_S = 3.0
_REPLACED_S = 90.0
_UPDATED_S = 240.0
_COLD_PORT = 18003
_SERVICE_OF = {
    "sensory_service": "sensory",
    "classification_service": "classification",
    "evolver_runner": "evolver",
}


@dataclass(frozen=True)
class Result:
    """What a step came to.

    Args:
        seconds: How long what it is about took.
        requests: Sent to nginx meanwhile.
        failed: Of these, how many were not answered with 2xx.
        lost: What was acknowledged and is not there.
        note: What else there is to say.
        figures: Measured beside the seconds, by name.
    """

    seconds: float
    requests: int = 0
    failed: int = 0
    lost: int = 0
    note: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Scene:
    """Where steps are taken: the house, how much load, how many images, how long a run."""

    house: House
    classifications: float = 200.0
    uploads: float = 20.0
    images: int = 2000
    run_s: float = 60.0

    @property
    def book(self) -> Path:
        """Return the file of the ledger."""
        return self.house.folder / "ledger.json"

    def ledger(self) -> Ledger:
        """Return all that was acknowledged so far, uploads of loads too."""
        return Ledger.of(self.book, self.house.folder / "uploads.txt", UPLOADED)

    def load(self) -> AbstractContextManager[Load]:
        """Offer load for as long as a block lasts."""
        picture = self.house.folder / "picture.png"
        picture.write_bytes(tasks()["png"].image)
        return loaded(
            self.house.url,
            self.house.folder / "admin.key",
            swarm_client.DATASET,
            picture,
            self.house.folder / "uploads.txt",
            classifications=self.classifications,
            uploads=self.uploads,
        )


Step = Callable[[Scene], Result]


# Without trainings: enough to see that images, stack, front, storage and updates still work.
SHORT = (
    "deploy",
    "upload",
    "freeze and order",
    "classify",
    "update classification_service",
    "everything down and up",
)


def all_steps(nodes: int = 1) -> dict[str, Step]:
    """Return the steps by their names, in their order."""
    from benchmarks.swarm_node_steps import node_steps  # noqa: PLC0415 - they take these further

    everybody = (*STATELESS, *STATEFUL, "nginx")
    return {
        "deploy": deploy,
        "idle": idle,
        "cold start": cold_start,
        "upload": upload,
        "freeze and order": order,
        "evolve while trainers come and go": evolve,
        "classify": classify,
        **{f"kill -9 {service}": partial(kill, service=service) for service in everybody},
        **{f"update {service}": partial(update, service=service) for service in STATELESS},
        "update nginx": partial(update, service="nginx"),
        "reload nginx": reload,
        "broken image": partial(rolled_back, variant="broken"),
        "image that is never ready": partial(rolled_back, variant="sick"),
        **(node_steps() if nodes > 1 else {}),
        "README, each image alone": readme,
        "backup": backup,
        "everything down and up": again,
        "restore into empty volumes": restore,
        "ledger": ledger,
    }


def deploy(scene: Scene) -> Result:
    """Deploy until every task is healthy."""
    scene.house.prepare()
    started = time.monotonic()
    scene.house.up()
    return Result(time.monotonic() - started)


def idle(scene: Scene) -> Result:
    """Add up the memory of everything but trainers: used, without what the system may drop."""
    total, parts = 0.0, []
    for service in scene.house.services:
        if service == "trainer":
            continue
        used = sum(_used_bytes(task.pid) for task in scene.house.tasks(service))
        total += used
        parts.append(f"{service} {used / _MB:.0f}")
    return Result(0.0, note=", ".join(parts) + " MB", figures={"memory_gb": total / 1e9})


def cold_start(scene: Scene) -> Result:
    """Measure `docker run` of the serving image until it is ready."""
    house = scene.house
    host = house.nodes.manager.address
    settings = {
        "DICEBOX_HOST": host,
        "DICEBOX_PORT": str(_COLD_PORT),
        "DICEBOX_REPLICAS": "1",
        "DICEBOX_BLOBS_URL": "/var/lib/dicebox/blobs",
        "DICEBOX_ADMIN_URL": house.url,
    }
    words = [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
    started = time.monotonic()
    container = house.docker(
        *("run", "--detach", "--rm", "--network", "host", "--read-only", "--tmpfs", "/tmp"),  # noqa: S108
        *words,
        image("classification", version()),
    )
    try:
        url = f"http://{host}:{_COLD_PORT}{CLASSIFICATION}/readyz"
        house.until(lambda: _is_ready(url), "the serving image is ready", 60.0)
        return Result(time.monotonic() - started)
    finally:
        house.docker("rm", "--force", container)


def upload(scene: Scene) -> Result:
    """Upload labeled images."""
    book = scene.ledger()
    started = time.monotonic()
    with scene.house.client() as client:
        stored = swarm_client.upload(client, book, scene.images)
    book.save(scene.book)
    return Result(time.monotonic() - started, requests=stored)


def order(scene: Scene) -> Result:
    """Freeze, order the training images, and read every shard."""
    book = scene.ledger()
    started = time.monotonic()
    with scene.house.client() as client:
        snapshot = swarm_client.freeze(client, book)
        examples = swarm_client.order(client, book, snapshot)
        wanted = client.sensory.snapshot(snapshot).counts["train"]
    book.save(scene.book)
    note = f"{examples:,} examples"
    return Result(time.monotonic() - started, lost=wanted - examples, note=note)


def evolve(scene: Scene) -> Result:
    """Evolve with two trainers that become four, one, and two again."""
    house, book = scene.house, scene.ledger()
    started = time.monotonic()
    with house.client() as client:
        run = swarm_client.start_run(client, book, scene.run_s)
        for replicas in (4, 1, 2):
            time.sleep(scene.run_s / 6)
            house.docker("service", "scale", "--detach", f"{STACK}_trainer={replicas}")
        found = swarm_client.follow_run(client, book, run, 4 * scene.run_s + 120.0)
    book.save(scene.book)
    if found.state != "complete":
        raise UnavailableError(f"run {run} is {found.state}")
    note = f"{found.individuals} individuals, longest pause {found.pause_s:.1f} s"
    return Result(time.monotonic() - started, note=note, figures={"pause_s": found.pause_s})


def classify(scene: Scene) -> Result:
    """Offer load with nothing beside it; the champion is a made-up network where nobody trained."""
    book = scene.ledger()
    with scene.house.client() as client:
        if not client.gallery.networks(swarm_client.DATASET):
            swarm_client.publish(client, book, WORK)
            book.save(scene.book)
    with scene.load() as load:
        time.sleep(10.0)
    return _of_load(10.0, load)


def kill(scene: Scene, service: str) -> Result:
    """Kill a task and measure how long it is until all are there again and nginx is answered."""
    house = scene.house
    with scene.load() as load:
        time.sleep(_SETTLE_S)
        started = time.monotonic()
        killed = house.kill(service)
        house.until(lambda: house.is_replaced(service, killed), service, _REPLACED_S)
        with house.client() as client:
            client.sensory.datasets()
        seconds = time.monotonic() - started
        time.sleep(_SETTLE_S)
    return _of_load(seconds, load)


def update(scene: Scene, service: str) -> Result:
    """Roll a service to a new image under load."""
    house = scene.house
    new = _other_image(house, service)
    with scene.load() as load:
        time.sleep(_SETTLE_S)
        started = time.monotonic()
        _roll(house, service, new)
        house.until(lambda: _all_run(house, service, new), f"{service} is updated", _UPDATED_S)
        seconds = time.monotonic() - started
        time.sleep(2 * _SETTLE_S)
    return _of_load(seconds, load)


def reload(scene: Scene) -> Result:
    """Have nginx read its configuration anew under load, three times."""
    (task,) = scene.house.tasks("nginx")
    took = []
    with scene.load() as load:
        for _ in range(3):
            time.sleep(_SETTLE_S)
            started = time.monotonic()
            task.engine.docker("exec", task.container, "reload")
            took.append(time.monotonic() - started)
        time.sleep(_SETTLE_S)
    return _of_load(max(took), load)


def rolled_back(scene: Scene, variant: str) -> Result:
    """Roll the classification service to an image that does not come up, and see it come back."""
    house, service = scene.house, "classification_service"
    docker = house.nodes.manager.engine.docker
    new = make_variant(docker, "classification", variant)
    before = _image_of(house, service)
    with scene.load() as load:
        time.sleep(_SETTLE_S)
        started = time.monotonic()
        began = house.state(service).updated
        # Else the image's own minute of grace would go by first.
        _roll(house, service, new, "--health-start-period", "5s")
        house.until(
            lambda: (
                house.state(service).update == "rollback_completed"
                and house.state(service).updated != began
            ),
            "it was rolled back",
            _UPDATED_S,
        )
        seconds = time.monotonic() - started
        time.sleep(_SETTLE_S)
    if _image_of(house, service) != before:
        raise UnavailableError(f"{service} runs {_image_of(house, service)}, not {before}")
    return _of_load(seconds, load)


def readme(scene: Scene) -> Result:
    """Type the README's commands for single services."""
    return Result(try_readme(scene.house))


def backup(scene: Scene) -> Result:
    """Save the whole state."""
    folder = scene.house.folder / "backup"
    folder.mkdir(exist_ok=True)
    started = time.monotonic()
    scene.house.command("deploy.backup", "save", str(folder))
    return Result(time.monotonic() - started)


def again(scene: Scene) -> Result:
    """Take everything down and up again, and look for all data."""
    scene.house.down()
    started = time.monotonic()
    scene.house.up()
    seconds = time.monotonic() - started
    return Result(seconds, lost=ledger(scene).lost)


def restore(scene: Scene) -> Result:
    """Remove the stack with its volumes and blobs, restore the backup, and look for all data."""
    house = scene.house
    house.down()
    # An engine takes the containers of a service away some time after the service.
    house.until(partial(_without_volumes, house), "the volumes are gone", _REPLACED_S)
    for each in sorted(house.blobs.rglob("*"), reverse=True):
        each.rmdir() if each.is_dir() else each.unlink()
    house.prepare()
    house.up()
    started = time.monotonic()
    house.command("deploy.backup", "restore", str(house.folder / "backup"), "--stop")
    seconds = time.monotonic() - started
    house.up()
    return Result(seconds, lost=ledger(scene).lost)


def ledger(scene: Scene) -> Result:
    """Ask for everything that was ever acknowledged, and compare it."""
    book = scene.ledger()
    started = time.monotonic()
    with scene.house.client() as client:
        found = lost(client, book)
    asked = sum(map(len, book.images.values())) + len(book.runs) + len(book.networks)
    note = "; ".join(found[:5])
    return Result(time.monotonic() - started, requests=asked, lost=len(found), note=note)


def _of_load(seconds: float, load: Load) -> Result:
    offered = load.offered
    odd = {int(status): n for status, n in offered.statuses.items() if not _is_good(status)}
    words = [f"{n} {_named(status)}" for status, n in sorted(odd.items())]
    if offered.retried:
        words.append(f"{offered.retried} uploads taken when sent again")
    return Result(seconds, offered.requests, offered.failed, offered.lost, ", ".join(words))


def _is_good(status: str) -> bool:
    return int(status) // 100 == 2  # noqa: PLR2004 - that is success


def _named(status: int) -> str:
    return Fate(status).name.lower().replace("_", " ") if status in set(Fate) else f"of {status}"


def _without_volumes(house: House) -> bool:
    """Remove what volumes of the stack are not used any more; say whether all of them are gone."""
    left = house.docker("volume", "ls", "--quiet", "--filter", f"name={STACK}_").split()
    for volume in left:
        with suppress(DockerError):
            house.docker("volume", "rm", volume)
            left = [each for each in left if each != volume]
    return not left


def _roll(house: House, service: str, new: str, *words: str) -> None:
    house.docker(
        *("service", "update", "--detach", "--quiet", "--no-resolve-image", *words),
        *("--image", new, f"{STACK}_{service}"),
    )


def _image_of(house: House, service: str) -> str:
    where = "{{.Spec.TaskTemplate.ContainerSpec.Image}}"
    return house.docker("service", "inspect", "--format", where, f"{STACK}_{service}")


def _other_image(house: House, service: str) -> str:
    role = _SERVICE_OF.get(service, service.replace("_", "-"))
    if role not in IMAGES.values():
        raise UnavailableError(f"{service} has no image of ours")
    plain, now = image(role, version()), _image_of(house, service)
    for node in house.nodes.all:
        new = make_variant(node.engine.docker, role, "next")
    return new if now == plain else plain


def _all_run(house: House, service: str, new: str) -> bool:
    state = house.state(service)
    if state.running != state.wanted:
        return False
    running = house.tasks(service)
    images = {
        task.engine.docker("inspect", "--format", "{{.Config.Image}}", task.container)
        for task in running
    }
    return images == {new} and len(running) == state.wanted


def _used_bytes(pid: int) -> int:
    """Return the memory of a process's control group, without pages of files that nobody uses."""
    groups = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            folder, usage = Path("/sys/fs/cgroup/memory" + path), "memory.usage_in_bytes"
            break
        if not controllers:
            folder, usage = Path("/sys/fs/cgroup" + path), "memory.current"
    used = int((folder / usage).read_text())
    lines = (folder / "memory.stat").read_text().splitlines()
    stat = dict(line.split() for line in lines)
    return used - int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1.0).is_success
    except httpx.TransportError:
        return False
