"""Reading a curriculum by name or by path."""

import pytest

from perdure.budget.errors import ConfigError
from perdure.curriculum.file.reader import read_curriculum
from perdure.curriculum.file.shipped import shipped
from tests.curriculum.file.written import GOOD, Write


def test_a_good_file_comes_back_with_its_source_and_text(write: Write) -> None:
    file = write(GOOD)
    read = read_curriculum(str(file))
    assert (read.source, read.text) == (file, GOOD)
    assert [stage.name for stage in read.curriculum.stages] == ["even", "v1.2"]


@pytest.mark.parametrize("name", shipped())
def test_shipped_curricula_are_good_by_name_and_by_path(name: str) -> None:
    assert read_curriculum(name).curriculum == read_curriculum(shipped()[name]).curriculum


def test_unknown_names_list_the_shipped_ones() -> None:
    known = list(shipped())
    with pytest.raises(ConfigError) as raised:
        read_curriculum("no-curriculum-has-this-name")
    assert str(raised.value).endswith(f"shipped curricula: {', '.join(known) or 'none'}")
