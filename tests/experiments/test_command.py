"""`python -m experiments`: what it lists, and one line for what it does not know."""

from __future__ import annotations

import pytest

from ds2.__main__ import experiments
from ds2.cli import main as cli
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


def test_an_installed_package_has_the_same_command(capsys):
    assert cli.answer(lambda: experiments([])) == 0
    assert "main_table" in capsys.readouterr().out
    assert cli.answer(lambda: experiments(["big_table"])) == 2
    assert "experiment big_table is unknown" in capsys.readouterr().err
