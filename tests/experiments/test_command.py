"""`python -m experiments`: what it lists, and one line for what it does not know."""

from __future__ import annotations

import pytest

from experiments.__main__ import main


def test_without_arguments_it_lists_every_experiment(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    for name in ("main_table", "rater_gap", "ablations"):
        assert name in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["big_table"], "experiment big_table is unknown; there are: main_table"),
        (["main_table", "--fast"], "--fast is neither"),
        (["main_table", "seed"], "seed is neither"),
    ],
)
def test_a_user_s_mistake_is_one_line(capsys, arguments, message):
    assert main(arguments) == 2
    err = capsys.readouterr().err.strip()
    assert message in err
    assert len(err.splitlines()) == 1
