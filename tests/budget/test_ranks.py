"""The processes of a run as the environment of a launcher describes them; two real ones: tests/agent/several."""

import pytest

from perdure.budget import launchers, ranks
from perdure.budget.errors import ConfigError


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"ACCELERATE_USE_FSDP": "true"}, "does not train under FSDP"),
        ({"ACCELERATE_USE_DEEPSPEED": "true", "WORLD_SIZE": "2"}, "does not train under DeepSpeed"),
        ({"ACCELERATE_USE_PARALLELISM_CONFIG": "true"}, "a parallelism_config"),
        ({"ACCELERATE_DYNAMO_BACKEND": "INDUCTOR"}, "set dynamo_backend to no"),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "each process would be a run"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two'"),
    ],
)
def test_what_a_launcher_asks_for_is_refused_by_name(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        launchers.refuse(environment)


def test_what_torchrun_and_accelerate_set_for_ddp_is_taken() -> None:
    launchers.refuse(
        {"WORLD_SIZE": "2", "RANK": "1", "ACCELERATE_USE_FSDP": "false", "ACCELERATE_DYNAMO_BACKEND": "NO"}
    )


def test_one_process_on_cpus_where_several_may_be_meant_is_told() -> None:
    assert "starts no more" in (launchers.advice({"ACCELERATE_USE_CPU": "True"}) or "")
    assert launchers.advice({"ACCELERATE_USE_CPU": "True", "WORLD_SIZE": "2"}) is None
    assert launchers.advice({}) is None


def test_one_process_shares_with_itself() -> None:
    assert ranks.whole(ranks.part_of([3, 1, 2])) == [3, 1, 2]
    assert ranks.totals({"a": 2}) == {"a": 2}
    assert ranks.told(lambda: 7) == ranks.same(7, "seven") == 7
