import gc

import pytest

from claf_engine.runs.collector import collector_at_rest


@pytest.mark.parametrize("is_enabled", [True, False])
def test_the_collector_rests_and_is_as_before_afterwards(is_enabled: bool) -> None:
    was_enabled = gc.isenabled()
    try:
        (gc.enable if is_enabled else gc.disable)()
        with collector_at_rest():
            assert not gc.isenabled()
        assert gc.isenabled() is is_enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()
