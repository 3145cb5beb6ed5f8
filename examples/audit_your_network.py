"""Measure a network of your own, and ask whether the figure can be believed: this one hides its gradients."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from claf_engine import audit, measure


class Quantised(nn.Module):
    """A linear classifier behind a rounding of its input, whose gradient is zero."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor) -> Tensor:
        return ((images - 0.5) * 60).round().flatten(1) @ self.weight


generator = torch.Generator().manual_seed(0)
pattern = torch.randn(3 * 16 * 16, 10, generator=generator)
labels = torch.arange(200) % 10
images = (
    0.5 + 0.02 * pattern.T[labels].sign().view(-1, 3, 16, 16) + 0.05 * torch.randn(200, 3, 16, 16, generator=generator)
)
loader = DataLoader(TensorDataset(images.clamp(0, 1), labels), batch_size=50)
model = Quantised(pattern)

figure = measure(model, loader).robust[0]
print(f"PGD-{figure.steps} at {figure.epsilon} leaves {figure.accuracy:.1%}")
found = audit(model, loader, num_examples=50)
print(f"the audit {found.verdict}: {found.worst_case:.1%} survive everything that was run")
for diagnostic in found.diagnostics:
    if diagnostic.verdict == "fails":
        print(f"- {diagnostic.title}: {diagnostic.figure}")
