"""The rows about the speed of training."""

import pytest

from benchmarks.training import summary
from benchmarks.training_cell import GENOMES
from commons.shapes import infer_shape


def cell(images: float, outside_s: float = 0.02) -> dict[str, float]:
    return {"images_per_cpu_s": images, "build_s": 0.4, "outside_s": outside_s}


def test_speed_is_told_beside_what_it_was_and_a_candidate_by_its_goal() -> None:
    splits = {"a": {"one": 300.0, "two": 360.0}}
    rows = summary({"a": cell(900.0, 0.06)}, {"a": {"float32, norm of Keras": cell(500.0)}}, splits)
    assert [row.ours for row in rows] == pytest.approx([900.0, 1.8, 400.0, 60.0, 1.2])
    assert [row.met for row in rows] == [None, None, None, False, None]


def test_every_genome_builds_for_its_images() -> None:
    for shape, genome in GENOMES.values():
        assert infer_shape(genome, shape, 10).multiply_adds > 0
