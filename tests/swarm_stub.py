"""Stands for `docker` in tests of what asks it to run a script beside a stack.

    python swarm_stub.py FOLDER WORDS...

FOLDER/services.json has the services of the stack, FOLDER/calls what was asked, a JSON line each. A
service that is created runs the script of its entrypoint at once, here, with FOLDER/volume for
/dicebox and FOLDER/secret for the address of the tables.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[1] / "deploy" / "docker" / "postgres"
FLAGS = ("--detach", "--quiet", "--no-healthcheck", "--no-resolve-image")


def main(folder: Path, words: list[str]) -> str:  # noqa: C901, PLR0911 - one for each command
    with (folder / "calls").open("a") as calls:
        calls.write(json.dumps(words) + "\n")
    file = folder / "services.json"
    services: list[dict[str, Any]] = json.loads(file.read_text())
    match words[:2]:
        case ["info", _]:
            return "node-1"
        case ["service", "ls"]:
            return "\n".join(service["Spec"]["Name"] for service in services)
        case ["service", "inspect"]:
            return json.dumps([each for each in services if each["Spec"]["Name"] in words[2:]])
        case ["service", "scale"]:
            for name, _, count in (word.partition("=") for word in words[3:]):
                found = next(each for each in services if each["Spec"]["Name"] == name)
                found["Spec"]["Mode"]["Replicated"]["Replicas"] = int(count)
            file.write_text(json.dumps(services))
            return ""
        case ["service", "create"]:
            return _create(folder, words[2:])
        case ["service", "ps"]:
            return _tasks(folder, services, words)
        case ["service", "logs"]:
            return (folder / "said").read_text()
        case ["service", "rm"]:
            return ""
        case ["ps", _]:
            # The container that a job leaves behind, until it is removed.
            asked = words[words.index("--filter") + 1]
            return (
                "ended-1" if "service.name=" in asked and not (folder / "removed").exists() else ""
            )
        case ["rm", _]:
            (folder / "removed").write_text(words[-1])
            return ""
    sys.exit(f"Error: not known here: {words}")


def _tasks(folder: Path, services: list[dict[str, Any]], words: list[str]) -> str:
    for service in services:
        if service["Spec"]["Name"] in words:
            running = service["Spec"]["Mode"]["Replicated"]["Replicas"] > 0
            return json.dumps({"CurrentState": "Running 1 hour ago"}) if running else ""
    state = "Complete" if (folder / "code").read_text() == "0" else "Failed"
    return json.dumps({"CurrentState": f"{state} 1 second ago", "Error": "task: non-zero exit"})


def _create(folder: Path, words: list[str]) -> str:
    options: list[tuple[str, str]] = []
    while words[0].startswith("--"):
        name = words.pop(0)
        options.append((name, "" if name in FLAGS else words.pop(0)))
    mounts = [dict(part.partition("=")[::2] for part in value.split(",")) for name, value in options
              if name == "--mount" and "type=bind" in value]  # fmt: skip
    places = {mount["destination"]: mount["source"] for mount in mounts}
    places |= {"/dicebox": str(folder / "volume"), "/run/secrets/database_url": f"{folder}/secret"}

    def here(value: str) -> str:
        for inside, outside in places.items():
            if value == inside or value.startswith(f"{inside}/"):
                return outside + value.removeprefix(inside)
        return value

    said = (value.partition("=") for name, value in options if name == "--env")
    environ = {name: here(value) for name, _, value in said}
    script = shlex.split(dict(options)["--entrypoint"])[-1].rpartition("dicebox-")[2]
    done = subprocess.run(
        [SCRIPTS / f"{script}.sh", *map(here, words[1:])],
        env={"PATH": os.environ["PATH"], "OWNER": f"{os.getuid()}:{os.getgid()}", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    (folder / "said").write_text(done.stdout)
    (folder / "code").write_text(str(done.returncode))
    return "service-id"


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), sys.argv[2:]))
