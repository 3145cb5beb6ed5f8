import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine.compute import cores
from claf_engine.compute.cores import allowance, usable_cores

ASKED = "from claf_engine.compute.cores import usable_cores; print(usable_cores())"


def placed(groups: Path, **files: str) -> Path:
    """Writes files of control groups, by path with "__" for "/" and "_" for "."."""
    for name, text in files.items():
        file = groups / name.replace("__", "/").replace("max", "cpu.max").replace("quota", "cpu.cfs_quota_us")
        file = file.with_name(file.name.replace("period", "cpu.cfs_period_us"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return groups


def member(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "cgroup"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def test_a_quota_of_the_second_version_is_in_cores(tmp_path: Path) -> None:
    groups = placed(tmp_path / "groups", max="250000 100000\n")
    assert allowance(member(tmp_path, "0::/"), groups) == 2.5


def test_the_least_of_all_groups_above_counts(tmp_path: Path) -> None:
    groups = placed(tmp_path / "groups", max="max 100000", pod__max="150000 100000", pod__box__max="400000 100000")
    assert allowance(member(tmp_path, "0::/pod/box"), groups) == 1.5


def test_a_quota_of_the_first_version_is_in_cores_wherever_it_is_mounted(tmp_path: Path) -> None:
    one = placed(tmp_path / "one", cpu__box__quota="300000\n", cpu__box__period="100000\n")
    assert allowance(member(tmp_path, "0::/", "4:cpu:/box"), one) == 3
    both = placed(tmp_path / "both", **{"cpu,cpuacct__quota": "50000", "cpu,cpuacct__period": "100000"})
    assert allowance(member(tmp_path, "4:cpu,cpuacct:/out/of/sight", "7:memory:/box"), both) == 0.5


@pytest.mark.parametrize("text", ["max 100000", "", "a b", "100000", "-1 100000", "100000 0"])
def test_what_is_no_limit_or_cannot_be_read_limits_nothing(tmp_path: Path, text: str) -> None:
    groups = placed(tmp_path / "groups", max=text, cpu__quota="-1", cpu__period="100000")
    assert allowance(member(tmp_path, "0::/", "4:cpu:/", "nonsense", "0::/../.."), groups) is None
    assert allowance(tmp_path / "none", groups) is None


@pytest.mark.parametrize(("allowed", "number"), [(None, 4), (0.4, 1), (1.0, 1), (2.9, 2), (7.65, 4)])
def test_cores_are_those_that_time_is_allowed_on_rounded_down(
    monkeypatch: pytest.MonkeyPatch, allowed: float | None, number: int
) -> None:
    monkeypatch.setattr(cores, "allowance", lambda: allowed)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    assert usable_cores() == number


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of one core's worth of time, where this process may make one."""
    folder = cores.GROUPS / "cpu" / f"claf-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / "cpu.cfs_period_us").write_text("100000")
        (folder / "cpu.cfs_quota_us").write_text("100000")
    except OSError:
        pytest.skip("no control group with a quota can be made here")
    yield folder
    folder.rmdir()


@pytest.mark.skipif(usable_cores() < 2, reason="one core is no limit here")
def test_a_process_in_a_group_with_a_quota_uses_no_more(group: Path) -> None:
    enter = f"open({str(group / 'cgroup.procs')!r}, 'w').write('0'); " if os.name == "posix" else ""
    limited, free = (
        subprocess.run([sys.executable, "-c", start + ASKED], capture_output=True, text=True, check=True, timeout=60)
        for start in (enter, "")
    )
    assert (int(limited.stdout), int(free.stdout)) == (1, usable_cores())
