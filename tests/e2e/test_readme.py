"""What the README tells people to type, typed: every block that is marked `sh`, in its order."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from commons.adapters.file_blobs import FileBlobs
from dicebox.connect import Place, connect
from tests.builders import png_bytes, png_files
from tests.dicebox_processes import Dicebox
from tests.onnx_builders import always, network_card
from tests.servers import missing_program

pytestmark = pytest.mark.e2e
README = Path(__file__).parents[2] / "README.md"
# A wrong answer ends the script, wherever in a pipeline it comes.
STRICT = 'set -euo pipefail\ncurl() { command curl --fail-with-body --no-progress-meter "$@"; }\n'


def script() -> str:
    text = README.read_text(encoding="utf-8")
    # Training takes its time, and has a test of its own.
    quick = "".join(part for part in text.split("\n### ") if "dicebox train" not in part)
    blocks = re.findall(r"^```sh\n(.*?)^```$", quick, re.M | re.S)
    assert len(blocks) >= 4
    return STRICT + "\n".join(blocks)


@pytest.fixture
def place(tmp_path: Path, dicebox: Dicebox) -> Path:
    """Give a folder with the files of the README, a dataset and a champion in its Dicebox."""
    for program in ("curl", "jq"):
        if shutil.which(program) is None:
            missing_program(program)
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "seven.png").write_bytes(png_bytes(seed=7))
    (folder / "unknown.png").write_bytes(png_bytes(seed=8))
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for seed, category in enumerate(("cat", "dog")):
            for name, data in png_files(6, seed=seed):
                archive.writestr(f"{category}/{name}", data)
    card = network_card(FileBlobs(dicebox.data / "blobs"), always(1), dataset="digits")
    with connect(Place(dicebox.data)) as client:
        for digit in range(10):
            client.sensory.upload("digits", png_files(10, seed=50 + digit), str(digit))
        client.gallery.promote("digits", client.gallery.register(card))
    return folder


def test_what_the_readme_says_works_as_it_stands(place: Path, dicebox: Dicebox) -> None:
    process, url = dicebox.up()
    ended = subprocess.run(
        ["bash", "-c", script().replace("http://127.0.0.1:8000", url)],
        cwd=place,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DICEBOX_DATA": str(dicebox.data),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert '"duplicate":false' in ended.stdout
    assert '"complete":true' in ended.stdout
    assert '"name":"bright"' in ended.stdout
    with np.load(place / "shard.npz", allow_pickle=False) as shard:
        assert shard["images"].shape[1:] == (28, 28, 1)
        assert f"{shard['images'].shape} [" in ended.stdout
    with np.load(place / "batch.npz", allow_pickle=False) as batch:
        assert len(batch["images"]) == 32
    for name, images in (("digits.tar", 101), ("photos.tar", 12)):
        with tarfile.open(place / name) as tar:
            assert sum(member.endswith(".png") for member in tar.getnames()) == images
    assert (place / "key.txt").read_text().startswith("dbx_")
    assert ended.stdout.rstrip().splitlines()[-1].split()[1] == "me"
    assert process.poll() is None
