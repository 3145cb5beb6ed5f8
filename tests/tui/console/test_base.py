import gc

from claf_tui.console.base import set_loaded_aside


def test_what_is_loaded_when_a_run_begins_is_spared_by_the_garbage_collector() -> None:
    try:
        set_loaded_aside()
        assert gc.get_freeze_count() > len(gc.get_objects())
    finally:
        gc.unfreeze()
