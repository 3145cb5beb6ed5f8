import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.models.pretext_heads import SelfAttention, SelfieHead, linear_head, selfie_head


def drawn(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slow_attention(layer: SelfAttention, tokens: list[Tensor]) -> list[Tensor]:
    """Token by token and head by head: a sum of values, weighted by the softmax of similarities."""
    width, heads = len(tokens[0]), layer.num_heads
    asked = [layer.asked(F.layer_norm(token, (width,), layer.norm1.weight, layer.norm1.bias)) for token in tokens]
    found = []
    for token, mine in zip(tokens, asked, strict=True):
        pooled = []
        for head in range(heads):
            part = slice(head * width // heads, (head + 1) * width // heads)
            query, keys = mine[:width][part], [other[width : 2 * width][part] for other in asked]
            weights = torch.stack([query @ key / math.sqrt(width // heads) for key in keys]).softmax(0)
            pooled.append(sum(w * other[2 * width :][part] for w, other in zip(weights, asked, strict=True)))
        token = token + layer.joined(torch.cat(pooled))  # noqa: PLW2901 (the shortcut)
        found.append(token + layer.layers(F.layer_norm(token, (width,), layer.norm2.weight, layer.norm2.bias)))
    return found


def slow_scores(head: SelfieHead, features: Tensor, order: list[int]) -> Tensor:
    """Of one image: what is pooled of the visible patches, with the place of each hidden one, against every patch."""
    hidden = order[: len(order) // 4]
    tokens = [head.pooled, *(features[place] for place in order if place not in hidden)]
    for layer in head.layers:
        assert isinstance(layer, SelfAttention)
        tokens = slow_attention(layer, tokens)
    scores = torch.zeros(len(hidden), len(hidden))
    for row, place in enumerate(hidden):
        asked = tokens[0] + head.rows[place // head.grid] + head.columns[place % head.grid]
        for column, patch in enumerate(hidden):
            scores[row, column] = asked @ features[patch] / math.sqrt(features.shape[1])
    return scores


@pytest.mark.parametrize(("grid", "width", "layers"), [(3, 6, 1), (4, 16, 2), (4, 5, 1)])
def test_scores_are_those_of_a_slow_loop(grid: int, width: int, layers: int) -> None:
    head = selfie_head(width, grid, layers, drawn()).double()
    features = torch.rand((3, grid**2, width), generator=drawn(2), dtype=torch.float64)
    order = torch.stack([torch.randperm(grid**2, generator=drawn(k)) for k in range(3)])
    scores = head(features, order)
    for image in range(3):
        expected = slow_scores(head, features[image], order[image].tolist())
        assert torch.allclose(scores[image], expected.float(), atol=1e-6)


def test_what_is_hidden_does_not_reach_what_is_pooled() -> None:
    head = selfie_head(8, 4, 1, drawn())
    features, order = torch.rand((1, 16, 8), generator=drawn(2)), torch.arange(16)[None]
    features[:, 2:4] = 0
    changed = features.clone()
    changed[:, 0] += 1
    before, after = head(features, order)[0], head(changed, order)[0]
    assert torch.equal(before[:, 1], after[:, 1])
    assert not torch.equal(before[:, 0], after[:, 0])


def test_the_order_of_visible_patches_plays_no_part() -> None:
    head = selfie_head(8, 3, 2, drawn())
    features, order = torch.rand((1, 9, 8), generator=drawn(2)), torch.randperm(9, generator=drawn(3))[None]
    mixed = torch.cat([order[:, :2], order[:, 2:].flip(1)], 1)
    assert torch.allclose(head(features, order), head(features, mixed), atol=1e-6)


@pytest.mark.parametrize("build", [lambda g: linear_head(6, 4, g), lambda g: selfie_head(6, 3, 1, g)])
def test_first_weights_come_from_the_generator_alone(build: object) -> None:
    assert callable(build)
    one, two, other = build(drawn()), build(drawn()), build(drawn(2))
    pairs = list(zip(one.parameters(), two.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(first, second) for first, second, _ in pairs)
    assert not all(torch.equal(first, third) for first, _, third in pairs)


def test_a_fresh_linear_head_has_the_spread_of_torch() -> None:
    weight = linear_head(400, 4, drawn()).weight.detach()
    assert float(weight.abs().max()) <= 1 / 20
    assert float(weight.std()) == pytest.approx(1 / 20 / math.sqrt(3), rel=0.1)
