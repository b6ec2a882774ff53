"""What every image of a role has, and what must never get into one."""

import json
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from deploy import images
from sensory_service.app import Settings

FILES = {role: images.FOLDER / f"{role}.Dockerfile" for role in images.ALL_ROLES}
ALL = sorted(images.FOLDER.glob("*.Dockerfile"))
ROLES = pytest.mark.parametrize("role", images.ALL_ROLES)
DOCKERFILES = pytest.mark.parametrize("dockerfile", ALL, ids=lambda path: path.name)


def _instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Return (INSTRUCTION, arguments) with continued lines joined and comments left out."""
    lines = dockerfile.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    whole = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    pairs = [line.split(None, 1) for line in whole]
    return [(pair[0], pair[1]) for pair in pairs]


def _last(dockerfile: Path, name: str) -> str:
    return [said for instruction, said in _instructions(dockerfile) if instruction == name][-1]


def _whole(role: str) -> list[tuple[str, str]]:
    """Return the instructions of a role's image, those it starts from before them."""
    before = images.FOLDER / "python.Dockerfile"
    start = _instructions(before) if images.ALL_ROLES[role] else []
    return start + _instructions(FILES[role])


@ROLES
def test_a_role_runs_as_a_user_with_no_rights_under_an_init(role: str) -> None:
    said = _whole(role)
    users = [arguments for instruction, arguments in said if instruction == "USER"]
    assert re.fullmatch(r"1000[123]:1000[123]", users[-1])
    entries = [
        json.loads(said) for instruction, said in _whole(role) if instruction == "ENTRYPOINT"
    ]
    assert entries[-1][:2] == ["/usr/bin/tini", "--"]


@ROLES
def test_a_role_has_a_health_check_that_gives_it_time_to_start(role: str) -> None:
    options, _, command = _last(FILES[role], "HEALTHCHECK").partition("CMD")
    assert options.split() == [
        "--interval=3s",
        "--timeout=10s",
        "--start-period=60s",
        "--retries=5",
    ]
    assert json.loads(command)


@ROLES
def test_a_role_is_labelled_with_its_version_and_revision(role: str) -> None:
    labels = dict(part.split("=", 1) for part in shlex.split(_last(FILES[role], "LABEL")))
    assert labels["org.opencontainers.image.title"] == f"dicebox/{role}"
    assert labels["org.opencontainers.image.version"] == "${VERSION}"
    assert labels["org.opencontainers.image.revision"] == "${REVISION}"
    assert labels["org.opencontainers.image.licenses"]


@ROLES
def test_a_new_revision_costs_no_layer_that_takes_time(role: str) -> None:
    names = [instruction for instruction, _ in _instructions(FILES[role])]
    assert names[-4:] == ["ARG", "ARG", "ARG", "LABEL"]


def test_there_is_a_dockerfile_for_each_role_and_one_with_pip_in_it() -> None:
    assert {path.name for path in ALL} == {f"{role}.Dockerfile" for role in images.ALL_ROLES} | {
        "python.Dockerfile"
    }
    assert [path.name for path in ALL if "pip" in str(_instructions(path))] == ["python.Dockerfile"]


@DOCKERFILES
def test_an_image_is_built_by_both_builders_from_what_is_here(dockerfile: Path) -> None:
    text = dockerfile.read_text(encoding="utf-8").replace("file:///dicebox", "")
    for word in ("--mount", "--chmod", "--link", "<<", "syntax=", ":latest", "://", "ADD "):
        assert word not in text, word
    here = {"${BASE_IMAGE}", "${PYTHON_IMAGE}"}
    for instruction, said in _instructions(dockerfile):
        if instruction == "FROM":
            start, *stage = said.split()
            assert start in here
            here |= set(stage[1:])


@DOCKERFILES
def test_what_an_image_takes_is_there_and_not_kept_out_of_the_build(dockerfile: Path) -> None:
    let_in = _let_in()
    for instruction, said in _instructions(dockerfile):
        if instruction != "COPY" or "--from" in said:
            continue
        for source in said.split()[:-1]:
            assert (images.ROOT / source).exists(), source
            assert any(source == path or source.startswith(f"{path}/") for path in let_in), source


def test_the_build_sees_what_images_are_made_of_alone() -> None:
    lines = (images.ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert not _let_in() & {".git", ".venv", "dicebox-data", "benchmarks", "tests", "deploy"}


def test_every_package_that_is_installed_gets_into_the_images() -> None:
    project = tomllib.loads((images.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = project["tool"]["setuptools"]["packages"]["find"]["include"]
    copied = {
        said.split()[0]
        for instruction, said in _instructions(images.FOLDER / "python.Dockerfile")
        if instruction == "COPY"
    }
    assert {name.rstrip("*") for name in found} <= copied


def test_a_setting_of_an_image_gives_way_to_both_names_that_a_person_may_use() -> None:
    said = " ".join(
        words
        for instruction, words in _instructions(images.FOLDER / "python.Dockerfile")
        if instruction == "ENV"
    )
    set_here = dict(one.split("=", 1) for one in said.split() if "=" in one)
    # A command on the data folder knows its long name only; the others are an image's own.
    longs = {name for name in set_here if name.startswith("DICEBOX_")}
    assert longs == {"DICEBOX_DATA", "DICEBOX_BARE_NAMES", "DICEBOX_ALIVE_FILE"}
    asked = {**set_here, "PORT": "18001", "REPLICAS": "1", "DICEBOX_HOST": "127.0.0.1"}
    settings = Settings.from_env(asked)
    assert (settings.port, settings.replicas, settings.host) == (18001, 1, "127.0.0.1")
    assert settings.blobs_url == "file:///dicebox/blobs?sentinel=.dicebox-volume"


def test_tensorflow_is_in_the_trainers_images_alone() -> None:
    project = tomllib.loads((images.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    with_it = {
        role
        for role, python in images.ALL_ROLES.items()
        if python
        for extra in filter(None, images.PYTHONS[python].split(","))
        if any("tensorflow" in requirement for requirement in extras[extra])
    }
    assert with_it == {"trainer", "trainer-gpu"}
    # Otherwise they differ in nothing: both packages in one image would overwrite each other.
    others = [
        {line for line in extras[extra] if not line.startswith("tensorflow")}
        for extra in ("train", "train-gpu")
    ]
    assert others[0] == others[1]


def test_the_port_that_is_asked_for_health_is_the_one_that_is_exposed() -> None:
    for role, port in {"sensory": "8001", "classification": "8003", "evolver": "8004"}.items():
        assert _last(FILES[role], "EXPOSE") == port
        assert port in json.loads(_last(FILES[role], "HEALTHCHECK").partition("CMD")[2])


@pytest.fixture
def docker(tmp_path: Path) -> tuple[Path, str]:
    """Return a client that notes what it is told, knows two images and fails for one."""
    notes = tmp_path / "notes"
    program = tmp_path / "docker.py"
    program.write_text(
        "import pathlib, sys\n"
        f"with pathlib.Path({str(notes)!r}).open('a') as file:\n"
        "    print(*sys.argv[1:], file=file)\n"
        "if sys.argv[1] == 'build':\n"
        "    print('Step 1')\n"
        "    sys.exit(9 if any('--tag=dicebox/broken' in word for word in sys.argv) else 0)\n"
        "if sys.argv[-1] in ('dicebox/nginx:7', 'dicebox/evolver:7'):\n"
        "    print(1234)\n"
        "elif sys.argv[-1].endswith(':8'):\n"
        "    sys.exit('Cannot connect to the Docker daemon')\n"
        "else:\n"
        "    sys.exit('Error: No such image: ' + sys.argv[-1])\n"
    )
    return notes, f"{sys.executable} {program}"


def test_a_build_makes_the_environments_first_and_prints_sizes_alone(
    docker: tuple[Path, str], capfd: pytest.CaptureFixture[str]
) -> None:
    notes, client = docker
    images.main(["build", "nginx", "evolver", "--tag", "7", "--docker", client, "--base", "b:1"])
    assert json.loads(capfd.readouterr().out) == {"evolver": 1234, "nginx": 1234}
    told = notes.read_text().splitlines()
    builds = [line for line in told if line.startswith("build")]
    tags = [re.findall(r"--tag=(\S+)", line)[0] for line in builds]
    assert tags == ["dicebox/python-evolve:7", "dicebox/evolver:7", "dicebox/nginx:7"]
    assert "--build-arg=EXTRAS=fleet" in builds[0]
    assert "--build-arg=BASE_IMAGE=b:1" in builds[0]
    assert "--build-arg=PYTHON_IMAGE=dicebox/python-evolve:7" in builds[1]
    assert "--build-arg=VERSION=7" in builds[1]
    if (images.ROOT / ".git").exists():
        assert re.search(r"--build-arg=REVISION=[0-9a-f]{40}(\+changes)? ", builds[1])
    assert all("--network=host" in line for line in builds)


def test_the_trainer_for_cards_is_made_where_it_is_named(docker: tuple[Path, str]) -> None:
    notes, client = docker
    images.main(["build", "trainer-gpu", "--tag", "7", "--docker", client])
    builds = [line for line in notes.read_text().splitlines() if line.startswith("build")]
    assert "--build-arg=EXTRAS=fleet,train-gpu" in builds[0]
    assert "--tag=dicebox/trainer-gpu:7" in builds[1]
    notes.unlink()
    images.main(["build", "--tag", "7", "--docker", client])
    assert "gpu" not in notes.read_text()


def test_roles_can_be_left_out(docker: tuple[Path, str]) -> None:
    notes, client = docker
    without = ["--without", "trainer", "--without", "evolver"]
    images.main(["build", "--tag", "7", "--docker", client, *without])
    told = notes.read_text()
    assert "python-train" not in told
    assert "python-evolve" not in told
    assert "dicebox/postgres:7" in told


def test_sizes_are_of_the_images_that_there_are(
    docker: tuple[Path, str], capfd: pytest.CaptureFixture[str]
) -> None:
    images.main(["sizes", "--tag", "7", "--docker", docker[1]])
    assert json.loads(capfd.readouterr().out) == {"evolver": 1234, "nginx": 1234}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build", "sensor"], "expected roles of sensory, batch-processor"),
        (["sizes", "nginx", "--tag", "8"], "Cannot connect to the Docker daemon"),
        (["build", "nginx", "--docker", "/none/docker"], "cannot run /none/docker"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    docker: tuple[Path, str], arguments: list[str], said: str
) -> None:
    client = [] if "--docker" in arguments else ["--docker", docker[1]]
    with pytest.raises(SystemExit) as ended:
        images.main([*arguments, *client])
    assert said in str(ended.value)
    assert "\n" not in str(ended.value)


def test_a_failed_build_names_the_image(docker: tuple[Path, str]) -> None:
    _, client = docker
    engine = images.Engine(shlex.split(client))
    with pytest.raises(images.ImagesError, match="dicebox/broken:7 could not be built"):
        engine.build("nginx.Dockerfile", "dicebox/broken:7", {})


def _let_in() -> set[str]:
    lines = (images.ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return {line.removeprefix("!") for line in lines if line.startswith("!")}
