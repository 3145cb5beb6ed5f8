"""The weights of a file that training of somebody else's model begins with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from claf_engine.models.library import LibraryModel
from claf_engine.models.network import NATURAL, Network, start_classifiers
from claf_engine.models.written import WrittenModel
from claf_engine.terms.errors import CheckpointError, ConfigError
from claf_engine.training.phase import Phase
from claf_engine.training.weights_file import fitted, known, read_weights

WEIGHTS = "weights"
"""Key of run.json."""


@dataclass(frozen=True)
class Start:
    """What training began with.

    Attributes:
        record: file and SHA-256, as run.json keeps them.
        notices: sentences about what was left out.
    """

    record: Mapping[str, str]
    notices: tuple[str, ...] = ()


def start_from(network: Network, path: Path, begun: Mapping[str, Any]) -> Start:
    """Fill a network with the weights of the whole model that its encoder is of, in place.

    The classifier's go into all classifiers. Where they are of other classes, only the encoder's are taken.

    Args:
        network: with a library's or a file's encoder.
        path: of the file.
        begun: what run.json says; a run that begins again must begin with the same file.

    Raises:
        CheckpointError: the file cannot be read, does not fit, or is another one than the run was begun with.
    """
    encoder = network.encoder
    assert isinstance(encoder, LibraryModel | WrittenModel)
    found = read_weights(path)
    record = {"file": str(path), "sha256": found.sha256}
    then = begun.get(WEIGHTS)
    if isinstance(then, Mapping) and then.get("sha256") != found.sha256:
        raise CheckpointError(
            f"{path} is not the file that the run was begun with (SHA-256 {found.sha256[:12]}, then "
            f"{str(then.get('sha256'))[:12]}); restore it, or begin a new run"
        )
    own = encoder.module.state_dict()
    wanted, last = {**own}, _classifier_of(network)
    wanted |= last
    tensors = fitted(wanted, known(found.tensors, encoder.left_out), path, encoder.name, optional=tuple(last))
    with torch.no_grad():
        for name in own.keys() & tensors.keys():
            own[name].copy_(tensors[name])
    if not last:
        return Start(record)
    if not last.keys() <= tensors.keys():
        sentence = (
            f"the classifier of {path.name} tells other classes apart and was left out: it is trained from scratch"
        )
        return Start(record, (sentence,))
    start_classifiers(network, {name.rpartition(".")[2]: tensors[name] for name in last})
    return Start(record)


def require_encoder(network: Network, phases: tuple[Phase, ...]) -> None:
    """Refuse phases that train an encoder or a classifier by itself, where the model is one piece.

    Raises:
        ConfigError: there is such a phase.
    """
    apart = [phase for phase in phases if phase.trains_features or phase.is_frozen or phase.classifier is None]
    if network.is_whole and apart:
        assert isinstance(network.encoder, WrittenModel)
        raise ConfigError(
            f"{network.encoder.name} does not end in a linear layer that gives its logits, so that it has no encoder "
            f"to train by itself, as {apart[0].title!r} does; choose the method natural, at, fgsm, trades, alp or union"
        )
    if network.is_whole and any(phase.contrasts for phase in phases):
        assert isinstance(network.encoder, WrittenModel)
        is_a_term = all(phase.name == "supervised" for phase in phases if phase.contrasts)
        advice = "set objective.contrast_weight to 0" if is_a_term else "choose the method natural, at, trades or alp"
        raise ConfigError(
            f"{network.encoder.name} does not end in a linear layer that gives its logits, so that it has no features "
            f"to contrast; {advice}"
        )


def _classifier_of(network: Network) -> dict[str, Tensor]:
    """The classifier's tensors by the names that they had in the model; none where that is whole."""
    path = str(network.encoder.classifier_path)
    layer = network.classifiers[NATURAL]
    if not path or not isinstance(layer, nn.Linear):
        return {}
    taken_off = network.encoder.taken_off if isinstance(network.encoder, WrittenModel) else layer
    has_bias = not isinstance(taken_off, nn.Linear) or taken_off.bias is not None
    return {f"{path}.weight": layer.weight, **({f"{path}.bias": layer.bias} if has_bias else {})}
