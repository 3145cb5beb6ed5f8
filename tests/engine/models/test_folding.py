import copy

import torch
from torch import nn

from claf_engine.models.folding import fold, fold_encoder, refold
from claf_engine.models.network import ATTACK_CLASSIFIER, Network
from tests.engine.tiny import tiny_session


def trained_network() -> Network:
    """A network whose BatchNorm statistics are far from their start."""
    network = tiny_session().state.network
    network.train()
    for seed in range(4):
        network.project(torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * (seed + 1))
    return network


def test_a_folded_encoder_computes_the_same_features_as_the_encoder_in_eval_mode() -> None:
    encoder = trained_network().encoder
    images = torch.rand(8, 3, 8, 8)
    folded = fold_encoder(encoder)
    encoder.eval()
    torch.testing.assert_close(folded(images), encoder(images), rtol=1e-5, atol=1e-5)


def test_a_folded_encoder_has_no_batchnorm_and_takes_no_gradient() -> None:
    folded = fold_encoder(trained_network().encoder)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_folding_leaves_the_encoder_as_it_was() -> None:
    network = trained_network()
    before = copy.deepcopy(network.state_dict())
    fold_encoder(network.encoder)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_folded_pipeline_shares_the_classifier() -> None:
    network = trained_network()
    folded = fold(network.with_classifier(ATTACK_CLASSIFIER))
    assert folded.classifier is network.classifiers[ATTACK_CLASSIFIER]


def test_a_foreign_model_is_attacked_as_it_is() -> None:
    model = nn.Linear(2, 2)
    assert fold(model) is model


def test_refolding_equals_folding_anew() -> None:
    network = trained_network()
    model = network.with_classifier(ATTACK_CLASSIFIER)
    folded = fold(model)
    network.train()
    network.project(torch.rand(16, 3, 8, 8) * 5)
    refold(folded, model)
    assert all(torch.equal(a, b) for a, b in zip(folded.parameters(), fold(model).parameters(), strict=True))


def test_refolding_a_foreign_model_does_nothing() -> None:
    model = nn.Linear(2, 2)
    refold(model, model)
