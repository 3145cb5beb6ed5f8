import os
import socket
import sys

import pytest

from claf_engine.config.launch import Launch
from claf_engine.terms.errors import ConfigError

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "localhost",
    "TORCHELASTIC_RUN_ID": "work 7",
    "TORCHELASTIC_RESTART_COUNT": "2",
}


def launched(**changes: str) -> Launch:
    return Launch.from_environment({**TORCHRUN, **changes})


def test_a_process_that_torchrun_started_knows_which_one_it_is() -> None:
    launch = launched()
    assert (launch.rank, launch.size, launch.local_rank, launch.local_size) == (3, 4, 1, 2)
    assert (launch.num_restarts, launch.work, launch.is_follower) == (2, "work 7", True)
    assert launch.agent.startswith(f"{socket.gethostname()}:{os.getppid()}:")


@pytest.mark.parametrize("missing", ["RANK", "WORLD_SIZE", "MASTER_ADDR"])
def test_a_process_that_lacks_a_variable_is_alone(missing: str) -> None:
    assert Launch.from_environment({key: value for key, value in TORCHRUN.items() if key != missing}) == Launch()


@pytest.mark.parametrize("changes", [{"RANK": "4"}, {"LOCAL_RANK": "2"}, {"LOCAL_WORLD_SIZE": "5"}])
def test_numbers_that_do_not_fit_each_other_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="do not fit each other; start the processes with torchrun"):
        launched(**changes)


@pytest.mark.parametrize("text", ["", "-1", "two", "1.5"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="RANK=.* is no number"):
        launched(RANK=text)


def test_a_launch_knows_the_run_that_it_began_before_torchrun_started_it_anew() -> None:
    assert launched().began(launched(TORCHELASTIC_RESTART_COUNT="0").record())


def test_a_restart_on_another_machine_knows_its_run_by_the_name_of_the_work() -> None:
    record = {"processes": 4, "work": "work 7", "agent": "elsewhere:1:2", "command": sys.argv[1:]}
    assert launched().began(record)
    assert not launched(TORCHELASTIC_RESTART_COUNT="0").began(record), "work of the same name, begun by itself"
    assert not launched(TORCHELASTIC_RUN_ID="none").began({**record, "work": ""}), "work without a name"


def test_another_command_of_the_same_script_begins_a_run_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    record = launched(TORCHELASTIC_RESTART_COUNT="0").record()
    assert launched().began(record)
    monkeypatch.setattr(sys, "argv", ["claf-tui", "train", "--name", "second"])
    assert not launched().began(record)


@pytest.mark.parametrize("record", [None, [], {}, {"agent": ""}, {"agent": 5, "work": None}])
def test_a_run_that_says_nothing_of_its_launch_is_nobodys(record: object) -> None:
    assert not launched().began(record)
    assert not Launch().began(record)
