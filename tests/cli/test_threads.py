"""Verbs that read take one thread of numpy, unless the user says otherwise."""

import os

import pytest

from perdure.cli.threads import one_numpy_thread


@pytest.mark.parametrize(("own", "then"), [(None, "1"), ("4", "4")])
def test_a_setting_of_the_users_own_holds(own: str | None, then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", own or "")
    if own is None:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    one_numpy_thread()
    assert os.environ["OPENBLAS_NUM_THREADS"] == then
