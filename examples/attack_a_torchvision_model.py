"""Attack and measure a torchvision ResNet. What it normalises by goes inside, so that an epsilon means grey levels."""

import torch
from torch import nn
from torchvision.models import resnet18
from torchvision.transforms import Normalize

from claf_engine import attack, measure

network = resnet18(weights=None)  # weights="DEFAULT" where the network may download them
model = nn.Sequential(Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), network).eval()
images = torch.rand(8, 3, 64, 64)
labels = model(images).argmax(1)
adversarial = attack(model, images, labels, eps="4/255", steps=5)
print(f"{(model(adversarial).argmax(1) != labels).sum()} of {len(labels)} images broken at 4/255")
for figure in measure(model, images, labels, eps=("0", "1/255", "4/255"), steps=5).robust:
    print(f"{figure.attack}-{figure.steps} at {figure.epsilon}: {figure.accuracy:.1%} robust")
