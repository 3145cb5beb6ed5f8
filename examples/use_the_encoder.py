"""Train a small network with CLAF, take its encoder out of the checkpoint, and use its features elsewhere."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from claf_engine import load_network, read_info, resolve_config, train

with TemporaryDirectory() as folder:
    finished = train(resolve_config("smoke"), name="for-its-encoder", root=Path(folder))
    assert finished.checkpoint is not None
    info = read_info(Path(finished.checkpoint))  # the header alone, without torch
    print(f"step {info.step}, phase {info.phase}, weights {info.weights_sha256[:12]}")
    encoder = load_network(finished.checkpoint).encoder

with torch.no_grad():
    features = encoder(torch.rand(4, 3, 32, 32))
similarity = torch.nn.functional.cosine_similarity(features[:1], features[1:])
print(f"features {tuple(features.shape)}, similarities {[round(float(each), 2) for each in similarity]}")
