"""Heads of pretext tasks, which are trained on top of the encoder and left behind with its pretraining."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NUM_HEADS = 16
"""Of attention, at most: as many of them as a power of two divides the features into (Chen et al. 2020 have 16)."""


class SelfAttention(nn.Module):
    """One layer of self-attention and a perceptron, each with a shortcut and a LayerNorm before it."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_heads = math.gcd(num_features, NUM_HEADS)
        self.norm1, self.norm2 = nn.LayerNorm(num_features), nn.LayerNorm(num_features)
        self.asked = nn.Linear(num_features, 3 * num_features)
        self.joined = nn.Linear(num_features, num_features)
        self.layers = nn.Sequential(
            nn.Linear(num_features, num_features), nn.GELU(), nn.Linear(num_features, num_features)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (N, L, D) to tokens of the same shape."""
        count, length, width = tokens.shape
        asked = self.asked(self.norm1(tokens)).view(count, length, 3, self.num_heads, width // self.num_heads)
        query, key, value = asked.permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.joined(found.transpose(1, 2).reshape(count, length, width))
        pooled: Tensor = tokens + self.layers(self.norm2(tokens))
        return pooled


class SelfieHead(nn.Module):
    """Says which of an image's hidden patches belongs at which hidden place (Trinh et al. 2019).

    Attention pools the features of the visible patches, which are told no places, through a token of its own. With an
    embedding of the row and one of the column of a hidden place added, that is compared with the features of all hidden
    patches: each is right at one place and a distractor at the others.

    Args:
        num_features: D, of each patch.
        grid: patches along each side.
        num_layers: of self-attention.
    """

    def __init__(self, num_features: int, grid: int, num_layers: int) -> None:
        super().__init__()
        self.grid = grid
        self.num_hidden = grid**2 // 4
        self.pooled = nn.Parameter(torch.zeros(num_features))
        self.rows = nn.Parameter(torch.zeros(grid, num_features))
        self.columns = nn.Parameter(torch.zeros(grid, num_features))
        self.layers = nn.Sequential(*(SelfAttention(num_features) for _ in range(num_layers)))

    def forward(self, features: Tensor, order: Tensor) -> Tensor:
        """How well each hidden patch fits each hidden place.

        Args:
            features: (N, grid^2, D) of the patches of each image, row by row.
            order: (N, grid^2) int64, places in random order; those that come first are the hidden ones.

        Returns:
            (N, T, T) scores of place and patch, T = `num_hidden`; the right ones are on the diagonal.
        """
        places = order[:, : self.num_hidden]
        image = torch.arange(len(features), device=features.device)[:, None]
        hidden, visible = features[image, places], features[image, order[:, self.num_hidden :]]
        token = self.pooled.to(visible.dtype).expand(len(features), 1, -1)
        pooled = self.layers(torch.cat([token, visible], 1))[:, :1]
        asked = pooled + self.rows[places // self.grid] + self.columns[places % self.grid]
        scores: Tensor = asked.float() @ hidden.float().transpose(1, 2)
        return scores / math.sqrt(features.shape[-1])


def linear_head(num_features: int, num_answers: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer on the CPU, initialised as torch does but from a generator alone."""
    with torch.device("meta"):
        head = nn.Linear(num_features, num_answers)
    return _initialised(head.to_empty(device="cpu"), generator)


@torch.no_grad()
def selfie_head(num_features: int, grid: int, num_layers: int, generator: torch.Generator) -> SelfieHead:
    """A `SelfieHead` on the CPU, initialised from a generator alone: embeddings are normal, of deviation 0.02."""
    with torch.device("meta"):
        head = SelfieHead(num_features, grid, num_layers)
    head.to_empty(device="cpu")
    for embedding in (head.pooled, head.rows, head.columns):
        embedding.normal_(std=0.02, generator=generator)
    for module in head.modules():
        if isinstance(module, nn.Linear):
            _initialised(module, generator)
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
    return head


@torch.no_grad()
def _initialised(layer: nn.Linear, generator: torch.Generator) -> nn.Linear:
    bound = 1 / math.sqrt(layer.in_features)
    for weight in layer.parameters():
        weight.uniform_(-bound, bound, generator=generator)
    return layer
