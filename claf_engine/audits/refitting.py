"""Linear classifiers fitted anew on a frozen encoder, and the features that they are fitted on."""

from collections.abc import Generator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.accuracy.measure import abandonable
from claf_engine.attacks import attack_steps, crossing_step_size, gradient_of, make_attack
from claf_engine.audits.bench import Bench
from claf_engine.audits.diagnostic import NotRun
from claf_engine.compute.device import Compute
from claf_engine.compute.seeding import measurement_generator
from claf_engine.data import Split, to_pixels
from claf_engine.events.ticks import Pulse
from claf_engine.models.folding import fold
from claf_engine.models.modes import frozen
from claf_engine.models.network import Network, Pipeline
from claf_engine.training.phases.linear import feature_steps

WEIGHT_DECAY = 1e-3
"""Of standardised features; without it the weights of classes that can be told apart grow without end."""
ITERATIONS, LATER_ITERATIONS = 100, 20
"""Of L-BFGS: from zero, and from a classifier that was fitted on fewer examples."""
ADVERSARIAL_SHARE = 4
"""One of so many images to fit on is attacked for the adversarial refit, the costly one."""
ADVERSARIAL_STEPS, ADVERSARIAL_BATCH = 3, 125
WATCHED = 32
PER_CLASS = 4
"""Images of each class that classifiers are fitted on at least, where there are many classes."""
"""Images that the gradient of the features is looked at on."""
TINY = 1e-6


def require_network(bench: Bench) -> tuple[Network, Split]:
    """The encoder's network and the images that classifiers are fitted on, as many as the budget affords.

    Raises:
        NotRun: one of the two is missing.
    """
    subject = bench.subject
    if subject.network is None:
        raise NotRun("needs an encoder to attack the features of, and this model is not a network of ours")
    if subject.train is None or not len(subject.train):
        raise NotRun("needs training images for the features of every class, and there are none")
    count = max(bench.budget.fit_images, PER_CLASS * num_classes(subject.network))
    return subject.network, subject.train.first(count)


def num_classes(network: Network) -> int:
    """How many classes the classifiers of a network tell apart."""
    return int(next(iter(network.classifiers.values())).out_features)  # type: ignore[arg-type]


def features_of(encoder: nn.Module) -> nn.Module:
    """An encoder as a module from images (N, C, H, W) to fp32 features (N, D), folded where that is possible."""
    return fold(Pipeline(encoder, nn.Identity()))


def training_features_steps(bench: Bench) -> Generator[Pulse, None, tuple[Tensor, Tensor]]:
    """Features (N, D) of the images that classifiers are fitted on, and their labels (N,).

    Raises:
        NotRun: see `require_network` and `require_gradient`; or a class has no image among them.
    """
    network, train = require_network(bench)
    missing = sorted(set(range(num_classes(network))) - set(train.labels.tolist()))
    if missing:
        raise NotRun(f"the {len(train)} training images to fit on hold none of class {missing[0]}")
    encoder = features_of(network.encoder)
    yield Pulse("gradient of the features", abandonable=True)
    require_gradient(encoder, to_pixels(bench.subject.split.images[:WATCHED]), bench.compute)
    features = yield from feature_steps(encoder, train, bench.compute)
    return features, train.labels


def require_gradient(encoder: nn.Module, images: Tensor, compute: Compute) -> None:
    """Refuse to attack features that most images (N, C, H, W) have no gradient of: standing still proves nothing.

    Raises:
        NotRun: the gradient is zero, or not finite, on more than half of the images.
    """
    steepest = gradient_of(encoder, lambda features: features.square().sum(1), compute)(images).abs().flatten(1).amax(1)
    if float(((steepest == 0) | ~steepest.isfinite()).double().mean()) > 0.5:
        raise NotRun("the features have no gradient by the image, so that no attack can be made through them")


@torch.no_grad()
def encode(encoder: nn.Module, images: Tensor, compute: Compute) -> Tensor:
    """Features (N, D) of images (N, C, H, W) in [0, 1], in eval mode."""
    with frozen(encoder), compute.autocast():
        features: Tensor = encoder(compute.arrange(images))
    return features.float()


def class_means(features: Tensor, labels: Tensor, count: int) -> Tensor:
    """Means (K, D) of the features (N, D) of each of `count` classes; every class must have some."""
    sums = torch.zeros(count, features.shape[1], dtype=features.dtype, device=features.device)
    sums.index_add_(0, labels, features)
    return sums / torch.bincount(labels, minlength=count)[:, None]


def nearest_mean(features: Tensor, labels: Tensor, count: int) -> nn.Linear:
    """The classifier of the nearest class mean, which is linear.

    -|h - m_k|^2 / (2 s^2) and (h . m_k - |m_k|^2 / 2) / s^2 differ by what all classes share. s^2, the mean variance
    within a class, changes no prediction; it keeps the odds of the classes, which attacks climb, of a sound size.
    """
    means = class_means(features, labels, count)
    variance = (features - means[labels]).square().mean().clamp(min=TINY)
    return to_linear(means / variance, -means.square().sum(1) / (2 * variance))


def fit_linear(features: Tensor, labels: Tensor, count: int, start: nn.Linear | None = None) -> nn.Linear:
    """Multinomial logistic regression with weight decay on standardised features; draws nothing at random.

    Args:
        features: (N, D) fp32.
        labels: (N,) in [0, count).
        count: classes.
        start: go on from this classifier with fewer iterations, in place of zero.

    Returns:
        A classifier of the features as they are, D to `count`.
    """
    mean, deviation = features.mean(0), features.std(0, correction=0).clamp(min=TINY)
    standardised = (features - mean) / deviation
    if start is None:
        weight, bias = features.new_zeros(count, features.shape[1]), features.new_zeros(count)
    else:
        weight, bias = start.weight.detach() * deviation, start.bias.detach() + start.weight.detach() @ mean
    weight.requires_grad_(True)
    bias.requires_grad_(True)
    iterations = ITERATIONS if start is None else LATER_ITERATIONS
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=iterations, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        with torch.enable_grad():
            found = F.cross_entropy(standardised @ weight.T + bias, labels) + WEIGHT_DECAY / 2 * weight.square().sum()
            found.backward()  # type: ignore[no-untyped-call]
        return found

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    plain = weight.detach() / deviation
    return to_linear(plain, bias.detach() - plain @ mean)


def adversarial_fit_steps(bench: Bench, encoder: nn.Module, start: nn.Linear) -> Generator[Pulse, None, nn.Linear]:
    """Fit a classifier on attacked images in one pass: each batch attacks the classifier fitted on those before it.

    Args:
        bench: whose training images and claim.
        encoder: images to features; stands still.
        start: the classifier that the first batch attacks.
    """
    network, train = require_network(bench)
    subject, count = bench.subject, num_classes(network)
    train = train.first(max(1, bench.budget.fit_images // ADVERSARIAL_SHARE))
    step_size = crossing_step_size(subject.epsilon, ADVERSARIAL_STEPS)
    spec = make_attack("pgd", subject.epsilon, steps=ADVERSARIAL_STEPS, step_size=step_size, space=subject.space)
    generator = measurement_generator(subject.seed, "adversarial refit", bench.compute.device)
    linear, seen = start, torch.empty(0, start.in_features, device=bench.compute.device)
    for begin in range(0, len(train), ADVERSARIAL_BATCH):
        images = to_pixels(train.images[begin : begin + ADVERSARIAL_BATCH])
        labels = train.labels[begin : begin + ADVERSARIAL_BATCH]
        model = nn.Sequential(encoder, linear)
        attacked = yield from abandonable(attack_steps(model, images, labels, spec, generator, bench.compute))
        seen = torch.cat([seen, encode(encoder, attacked, bench.compute)])
        yield Pulse("refitting a classifier", len(seen), len(train), abandonable=True)
        linear = fit_linear(seen, train.labels[: len(seen)], count, linear)
    return linear


def to_linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A frozen linear layer of weight (K, D) and bias (K,)."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta", dtype=weight.dtype)
    linear.to_empty(device=weight.device)
    linear.load_state_dict({"weight": weight, "bias": bias})
    return linear.requires_grad_(False)
