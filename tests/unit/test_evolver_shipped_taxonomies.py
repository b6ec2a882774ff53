from pathlib import Path

import numpy as np
import pytest

from commons.errors import NotFoundError
from commons.genome import Convolution, Dense
from commons.shapes import infer_shape
from evolver.earlier import write_genome
from evolver.limits import Problem
from evolver.operators import create, mutate
from evolver.search import Birth, ask, born, start_search
from evolver.shipped_taxonomies import shipped_taxonomies, taxonomy_text
from evolver.taxonomy import strangers, taxonomy_from_toml

PROBLEM = Problem((28, 28, 1), 10)
NAMES = list(shipped_taxonomies())


def test_there_are_some_and_each_says_what_it_is() -> None:
    assert NAMES == ["at-most-50k-parameters", "dense-only", "earlier-system"]
    assert all(text.endswith(".") for text in shipped_taxonomies().values())
    with pytest.raises(NotFoundError, match="dense-only"):
        taxonomy_text("../search")


@pytest.mark.parametrize("name", NAMES)
def test_a_search_stays_inside_them(name: str) -> None:
    taxonomy = taxonomy_from_toml(taxonomy_text(name))
    rng = np.random.default_rng(0)
    for _ in range(20):
        genome = create(rng, taxonomy, PROBLEM).genome
        mutant = mutate(rng, genome, taxonomy, PROBLEM)
        assert mutant is not None
        assert strangers(taxonomy, genome) == strangers(taxonomy, mutant.genome) == []
    state = start_search(taxonomy, PROBLEM, seed=0, size=4)
    for number in range(1, 9):
        birth = ask(state)
        assert isinstance(birth, Birth)
        assert strangers(taxonomy, birth.genome) == []
        state = born(state, number, birth)


def test_they_hold_what_their_names_say() -> None:
    rng = np.random.default_rng(1)
    dense, small, earlier = (
        [create(rng, taxonomy_from_toml(taxonomy_text(name)), PROBLEM).genome for _ in range(40)]
        for name in ("dense-only", "at-most-50k-parameters", "earlier-system")
    )
    assert all(not genome.features and genome.classifier for genome in dense)
    sizes = [infer_shape(genome, PROBLEM.shape, 10).parameters for genome in small]
    assert max(sizes) <= 50_000
    assert any(isinstance(gene, Convolution) for genome in small for gene in genome.features)
    for genome in earlier:
        value, lost = write_genome(genome, PROBLEM.shape, 10)
        assert lost == ()
        assert len(value["layers"]) >= 1
    depths = {sum(isinstance(gene, Dense) for gene in genome.classifier) for genome in earlier}
    assert max(depths) > 8


def test_the_page_about_them_has_them_all_and_its_example_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "search-space.md").read_text(encoding="utf-8")
    for name, sentence in shipped_taxonomies().items():
        assert f"| `{name}` | {sentence} |" in page
    example = page.partition("```toml\n")[2].partition("```")[0]
    taxonomy = taxonomy_from_toml(example)
    assert taxonomy.features.convolution.filters == tuple(range(8, 65))
    assert taxonomy.limits.parameters == 50_000
