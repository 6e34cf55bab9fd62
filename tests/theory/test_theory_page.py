"""The tables and the numbers in the text of docs/theory.md are those of the script."""

import numpy as np
import pytest

from docs.theory import tables
from docs.theory.bandit import bandit
from docs.theory.figures import FIGURES
from docs.theory.page import PAGE, blocks, with_blocks
from tests.theory.seven import TEXT


def test_the_tables_of_the_page_are_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_blocks(text, blocks()) == text, "run `python -m docs.theory`"


def test_a_block_that_nobody_computes_is_refused() -> None:
    with pytest.raises(ValueError, match="computed are"):
        with_blocks("<!-- theory:other -->\n<!-- theory:end -->", {"methods": ""})


def test_every_figure_is_there_and_shown() -> None:
    for name in FIGURES:
        drawn = PAGE.parent / "theory" / f"{name}.svg"
        assert f"](theory/{drawn.name})" in TEXT
        assert "<dc:date>" not in drawn.read_text(encoding="utf-8")


def test_numbers_in_the_text() -> None:
    along = {name: tables.along(method) for name, method in tables.METHODS.items()}
    gradient, writers = along["policy gradient"], along["SFT, two writers, likeliest arms"]
    floor = along["natural policy gradient = least KL"][2]
    lag = np.subtract(along["tilt"][2], floor)
    for sentence in (
        f"reverse KL {gradient[2][0]:.3f}, least {floor[0]:.3f}; forward KL {gradient[2][1]:.3f}, floor {floor[1]:.3f}",
        f"costs {lag[0]:.3f} nats of reverse and {lag[1]:.3f} of forward KL at 98 %",
        f"in reverse KL ({gradient[1][0]:.3f} and {writers[1][0]:.3f})",
        f"in forward KL ({gradient[1][1]:.3f} and {writers[1][1]:.3f})",
    ):
        assert sentence in TEXT
    assert gradient[1][0] > writers[1][0]
    assert gradient[1][1] < writers[1][1]


def test_two_policies_that_the_two_kls_order_oppositely() -> None:
    # Reverse: 0.979 ln 1.958 + 0.001 ln 0.01 + 0.02 ln 0.05 = 0.593; 0.49 ln 0.98 + 0.49 ln 4.9 + 0.02 ln 0.05 = 0.709.
    problem = bandit([[0.5, 0.1, 0.4]], right=2)
    one, other = (tables.kls(np.array([row]), problem) for row in ([0.979, 0.001, 0.02], [0.49, 0.49, 0.02]))
    assert f"0.02` | **{one[0]:.3f}** | {one[1]:.3f} |" in TEXT
    assert f"0.02` | {other[0]:.3f} | **{other[1]:.3f}** |" in TEXT


def test_how_often_supervised_learning_of_all_right_arms_stays_nearer() -> None:
    found = tables.random_bases()
    above = (found["policy gradient"] > found["SFT, every right arm alike"]).sum(0)
    assert f"{len(found['tilt'])} random bases" in TEXT
    assert "on {} of them in reverse KL, on {} in forward KL".format(*above) in TEXT
