"""Train with a loss of your own: half natural, half adversarial cross-entropy with smoothed labels."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch.nn.functional as F

from claf_engine import register_loss, resolve_config, train


@register_loss("smoothed")
def smoothed(model, images, labels, attack):
    attacked = attack(images, labels)  # under the settings of `attack`
    natural = F.cross_entropy(model(images), labels, label_smoothing=0.1)
    return (natural + F.cross_entropy(model(attacked), labels, label_smoothing=0.1)) / 2


config = resolve_config("smoke", overrides=["method=smoothed", "attack.steps=3"])
with TemporaryDirectory() as folder:
    finished = train(config, name="smoothed", root=Path(folder))
print(finished.status, "at step", finished.step)
for result in finished.results:
    print(f"{result.classifier}: {result.natural:.1%} natural, {result.robust[0].accuracy:.1%} at 8/255")
