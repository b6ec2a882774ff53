"""`dicebox genomes`: what a run bred, as files that start another one, here or there."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from commons.adapters.database import create_database, sqlite_url
from commons.errors import NotFoundError
from commons.genome import Dense, Genome, Training, genome_hash
from commons.messages import Evaluation, FreezeRequest
from dicebox.command import run
from dicebox.commands.run_choice import RunChoice, bred
from dicebox.commands.run_files import read_genomes
from dicebox.connect import Place, connect
from evolver.adapters.journal_table import SqlJournal
from evolver.adapters.run_table import SqlRuns
from tests.builders import png_files
from tests.evolver_builders import FakeClock, individual, queued_run

PLAIN = Genome(
    head="flatten",
    classifier=(Dense(units=21, activation="tanh"),),
    training=Training(schedule="constant"),
)


def tables_of(data: Path) -> Engine:
    """Return the evolver's tables, which the first connection made."""
    return create_database(sqlite_url(data / "evolver.sqlite3"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give a data folder with a run of two genomes that were trained and one that was not."""
    place = Place(tmp_path / "data")
    with connect(place) as client:
        for seed, category in enumerate(("cat", "dog")):
            client.sensory.upload("pets", png_files(5, seed=seed), category, None)
        snapshot = client.sensory.freeze("pets", FreezeRequest())
    database = tables_of(place.data)
    table, journal = SqlRuns(database, FakeClock(), 15.0), SqlJournal(database)
    table.add(queued_run("r1").model_copy(update={"snapshot": snapshot.id, "shape": (8, 8, 1)}))
    run = table.claim("runner-a")
    assert run is not None
    for number, accuracy in ((1, 0.9), (2, 0.95), (3, None)):
        born = individual(number)
        if number == 1:
            update = {"genome": PLAIN.model_dump(mode="json"), "genome_hash": genome_hash(PLAIN)}
            born = born.model_copy(update=update)
        journal.add_individual("r1", born, "runner-a")
        if accuracy is not None:
            evaluation = Evaluation(
                rung="1", state="finished", outcome="ok", accuracy=accuracy, loss=0.1
            )
            journal.put_evaluation("r1", number, evaluation, "runner-a")
    progress = run.progress.model_copy(update={"best_individual": 2})
    table.save(run.model_copy(update={"progress": progress}), "runner-a")
    database.dispose()
    return place.data


def typed(capsys: pytest.CaptureFixture[str], data: Path, *arguments: str) -> tuple[int, str, str]:
    code = run(["--data", str(data), "genomes", *arguments])
    return code, *capsys.readouterr()


def test_the_genomes_of_a_run_start_another_one(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = typed(capsys, data)
    assert (code, err) == (0, "")
    assert [row["accuracy"] for row in json.loads(out)["population"]] == [0.95, 0.9]
    file = tmp_path / "population.json"
    assert typed(capsys, data, "r1", "-o", str(file)) == (0, "", "")
    assert file.read_text() == out
    assert read_genomes(file) == [individual(2).genome, PLAIN.model_dump(mode="json")]
    assert len(json.loads(typed(capsys, data, "-n", "1")[1])["population"]) == 1


def test_the_earlier_system_is_given_those_it_has_words_for(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = typed(capsys, data, "--earlier")
    assert code == 0
    assert json.loads(out) == {
        "population": [
            {
                "accuracy": 0.9,
                "genome": {
                    "input_shape": [8, 8, 1],
                    "output_size": 2,
                    "optimizer": "adam",
                    "layers": [
                        {"type": "flatten"},
                        {"type": "dense", "size": 21, "activation": "tanh"},
                    ],
                },
            }
        ],
        "average_accuracy": 0.9,
    }
    assert err.startswith("dicebox: genome 1: the earlier system has no word for ")
    assert err.count("\n") == 1


def test_a_run_without_a_trained_network_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(Place(tmp_path / "data")):
        pass
    code, out, err = typed(capsys, tmp_path / "data")
    assert (code, out) == (1, "")
    assert "no run yet" in err
    database = tables_of(tmp_path / "data")
    SqlRuns(database, FakeClock(), 15.0).add(queued_run("r1"))
    database.dispose()
    code, out, err = typed(capsys, tmp_path / "data")
    assert (code, out, err) == (1, "", "dicebox: no network of the run r1 was trained yet\n")


def test_a_training_takes_the_best_genome_of_a_run_or_another_one(data: Path) -> None:
    with connect(Place(data)) as client:
        found = bred(client, RunChoice("r1", None, None, None))
        assert found.individual.number == 2
        assert (found.snapshot, found.shape) == (client.evolution.run("r1").snapshot, (8, 8, 1))
        found = bred(client, RunChoice("r", 1, None, None))
        assert (found.individual.number, found.genome) == (1, PLAIN)
        parameters = found.individual.parameters
        assert bred(client, RunChoice("r1", None, None, parameters)).individual.number == 2
        with pytest.raises(NotFoundError, match="no individual 9"):
            bred(client, RunChoice("r1", 9, None, None))
        with pytest.raises(NotFoundError, match=r"1 µs \(none was measured in this run\)"):
            bred(client, RunChoice("r1", None, 1.0, None))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected one of --genome and --run"),
        (["--genome", "FILE", "--run", "r1"], "expected one of --genome and --run"),
        (["--genome", "FILE", "--individual", "1"], "need --run"),
        (["--genome", "FILE", "--max-params", "5"], "need --run"),
        (["--run", "r1", "--individual", "1", "--max-latency-us", "5"], "--individual names one"),
        (["--genome", "FILE"], "expected --dataset or --snapshot"),
    ],
)
def test_a_training_of_what_the_options_do_not_agree_about_is_refused(
    data: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    file = data / "genome.json"
    file.write_text("{}")
    given = [str(file) if argument == "FILE" else argument for argument in arguments]
    assert run(["--data", str(data), "train", *given]) == 2
    assert said in capsys.readouterr().err
