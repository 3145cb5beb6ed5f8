import json
import math
from pathlib import Path

import pytest

from benchmarks.common import Measured
from benchmarks.epochs import stage2_config
from benchmarks.roofline import ENCODER, STAGE2, arithmetic_of, main, reached
from claf_engine.config import RuntimeConfig
from claf_engine.selftest.roofline import Arithmetic, Convolution

SLOW, FAST = (Convolution(8, (4, width, 3, 3), (1, 1), (1, 1), 1, (width, 8, 8), 100) for width in (2, 4))


def test_the_share_reached_is_the_time_at_the_peak_over_the_time_taken() -> None:
    part = Measured(STAGE2, [12.0, 99.0, 12.0], [{"retrain": 8.0, "encoder": 2.0}] * 3)
    rates = {"best": {SLOW: 100.0}, "sustained": {SLOW: 50.0}}
    found = reached(part, arithmetic(SLOW, 400), rates)
    assert found["median_seconds"] == 10
    assert (found["share_of_best"], found["share_of_sustained"]) == (0.4, 0.8)
    assert (found["flops_per_second"], found["best_flops_per_second"]) == (40, 100)


def test_a_part_that_tells_no_seconds_of_its_own_counts_whole() -> None:
    found = reached(Measured("attack", [4.0], [None]), arithmetic(SLOW, 400), {"best": {SLOW: 200.0}})
    assert found["share_of_best"] == 0.5


def test_a_resnet_18_has_eleven_distinct_convolutions_at_each_of_two_batch_sizes() -> None:
    runtime = RuntimeConfig(device="cpu", precision="fp32", layout="contiguous", threads=1)
    work = arithmetic_of(stage2_config(runtime, 64), batches=1)
    assert sorted(shape.batch for shape in work[STAGE2]) == [64] * 11 + [192] * 11
    assert {shape.batch for shape in work[ENCODER]} == {192}


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_the_benchmark_writes_a_share_for_every_part(tmp_path: Path) -> None:
    file = tmp_path / "roofline.json"
    sizes = {"width": 2, "batch": 4, "batches": 1, "sweeps": 1, "steps": 1, "repeats": 1, "seconds": 0.01}
    flags = [f"--{name}={value}" for name, value in sizes.items()]
    main([*flags, "--precision", "fp32", "--json", str(file)])
    found = json.loads(file.read_text())
    parts = {"stage2", "attack", "encoder"}
    assert set(found["ratios"]) == parts | {f"{part}_sustained" for part in parts}
    assert all(math.isfinite(ratio) and ratio > 0 for ratio in found["ratios"].values())
    assert all(found["ratios"][part] <= found["ratios"][f"{part}_sustained"] for part in parts)
    assert sum(shape["share"] for shape in found["shapes"]) == pytest.approx(1)


def arithmetic(shape: Convolution, flops: int) -> Arithmetic:
    return Arithmetic({shape: flops})
