"""Fewer trees, folds dealt once: these tests ask what is learned and what is refused, not how well."""

import pytest

from ds2.method.student import boosting, fit


@pytest.fixture(autouse=True, scope="module")
def fast():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosting, "TREES", 20)
        patch.setattr(fit, "REPEATS", 1)
        yield
