import json
from pathlib import Path

import pytest
import torch

from benchmarks.scale_out import main, work_of
from claf_engine.config import ModelConfig
from claf_engine.models.network import build_network


def test_what_a_step_exchanges_is_read_off_the_network() -> None:
    config = ModelConfig(width=4, blocks=(1, 1), projection_hidden=8, projection_dim=16)
    network = build_network(config, 10, torch.Generator().manual_seed(0))
    work = work_of(network, (3, 8, 8), attack_steps=0, num_views=2)
    trained = [*network.encoder.parameters(), *network.projection_head.parameters()]
    assert work.gradient_bytes == 4 * sum(each.numel() for each in trained)
    assert (work.num_norms, work.norm_bytes, work.projection_dim) == (6, 4 * 2 * (3 * 4 + 3 * 8), 16)
    attacked = work_of(network, (3, 8, 8), attack_steps=3, num_views=2)
    assert attacked.flops > work.flops


def test_the_prediction_for_gpus_needs_no_measurement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "predicted.json"
    main(["--predict", "--json", str(file)])
    told = json.loads(file.read_text())
    assert told["weak"]["1"] == told["strong"]["1"] == 1
    assert 0 < told["weak"]["512"] < told["weak"]["8"] < 1
    assert "PREDICTED" in capsys.readouterr().out


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_a_small_measurement_stands_beside_its_prediction(tmp_path: Path) -> None:
    file = tmp_path / "scale.json"
    main(["--processes", "1", "2", "--images", "4", "--width", "4", "--repeats", "1", "--json", str(file)])
    told = json.loads(file.read_text())
    assert told["ratios"]["error_1"] == pytest.approx(1)
    assert set(told["measured"]) == set(told["predicted"]) == {"1", "2"}
