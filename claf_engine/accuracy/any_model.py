"""Attack and measure any network, in plain tensors and without a run folder.

A network is any `nn.Module` from images (N, C, H, W) in [0, 1] to logits (N, K); whatever it normalises by belongs
inside it. Nothing of the caller's is changed: thread count, allocator, random generators, train mode, gradients.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from claf_engine.accuracy.measure import Accuracy, Examples, accuracy_steps, answer_steps, require_finite
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import Attacked, require_pixels
from claf_engine.attacks.registered import require_registered
from claf_engine.compute.device import Compute, initialised_accelerators
from claf_engine.data import Split, to_pixels
from claf_engine.events.ticks import exhaust
from claf_engine.models.modes import evaluating
from claf_engine.terms.errors import ConfigError, DataError
from claf_engine.terms.names import AttackName, Norm, PointName
from claf_engine.terms.pixels import Distance, exact_distance


def attack(  # noqa: PLR0913 (a script names the few that it changes)
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    eps: Distance = "8/255",
    *,
    steps: int = 10,
    step_size: Distance | None = None,
    norm: Norm = "linf",
    name: str = "pgd",
    restarts: int = 1,
    seed: int = 0,
    batch_size: int = 250,
) -> Tensor:
    """Craft adversarial examples: any point of any restart that is misclassified, or else the last point.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, K).
        images: (N, C, H, W), floats in [0, 1] or uint8; not modified.
        labels: (N,) true classes.
        eps: radius of the ball; never left, and neither is [0, 1]. In Linf at most 1; in L2 and L1 a length.
        steps: gradient steps of each restart; ignored by fgsm.
        step_size: by default 2.5 eps / steps, which crosses the ball; ignored by fgsm.
        norm: linf, l2 or l1.
        name: pgd (Madry et al. 2018), fgsm (Goodfellow et al. 2015), mi-fgsm (Dong et al. 2018), or what was registered
            (see `register_attack`), which takes steps of its own.
        restarts: random starts; what one has broken is not tried again.
        seed: of the random starts.
        batch_size: examples at once.

    Returns:
        (N, C, H, W) fp32 in [0, 1], on the device of `images`.

    Raises:
        ConfigError: a distance, a number of steps or of restarts is wrong.
        DataError: images or labels have another form, or do not lie in their range.
        ClafError: gradients are not finite.
    """
    suite = _suite((eps,), steps, step_size, norm, name, restarts, seed, "any")
    with undisturbed():
        split, compute = place(model, images, labels)
        require_finite(model)
        everything = Examples(split, torch.arange(len(split), device=compute.device), batch_size)
        attacked = Attacked.by_its_own_gradients(model)
        crafting = answer_steps(attacked, everything, suite, suite.epsilons[0], compute, keeps_points=True)
        points = exhaust(crafting).points
    assert points is not None, "they are kept"
    return points.to(images.device) if isinstance(images, Tensor) else points.cpu()


def measure(  # noqa: PLR0913 (a script names the few that it changes)
    model: nn.Module,
    data: Tensor | Iterable[Any],
    labels: Tensor | None = None,
    eps: Distance | Iterable[Distance] = ("8/255",),
    *,
    steps: int = 10,
    step_size: Distance | None = None,
    norm: Norm = "linf",
    name: str = "pgd",
    restarts: int = 1,
    decides: PointName = "any",
    seed: int = 0,
    num_examples: int | None = None,
    batch_size: int = 250,
) -> Accuracy:
    """Natural accuracy, and robust accuracy at each radius, in fp32.

    An example counts as robust only if every restart fails on it. The figure is an upper bound: a stronger attack can
    only lower it.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, K).
        data: images (N, C, H, W), floats in [0, 1] or uint8, with `labels`; or a data loader, a data set or any
            iterable of (images, labels) in batches or one by one. All that is asked about is held in memory.
        labels: (N,) true classes, where `data` are images.
        eps: one radius or several; 0 gives natural accuracy, and none measures nothing else.
        steps: see `attack`.
        step_size: by default 2.5 eps / steps at each radius, which crosses the ball.
        norm: see `attack`.
        name: see `attack`.
        restarts: see `attack`.
        decides: any point of a run (a little more than its last point finds), or "last", as most papers do.
        seed: see `attack`.
        num_examples: ask only about so many, the first.
        batch_size: see `attack`.

    Returns:
        `natural` in [0, 1], and `robust`: a figure for each radius, with all that is needed to repeat it; `notices` say
        why figures cannot be right, such as steps that do not cross the ball.

    Raises:
        ConfigError: a distance, a number of steps or of restarts is wrong.
        DataError: images or labels have another form, or do not lie in their range.
        ClafError: gradients are not finite, or the forward pass is not repeatable.
    """
    radii = (eps,) if isinstance(eps, str | float | int | Fraction) else tuple(eps)
    suite = _suite(radii, steps, step_size, norm, name, restarts, seed, decides)
    with undisturbed():
        split, compute = place(model, *gathered(data, labels, num_examples))
        return exhaust(accuracy_steps(model, split, suite, compute, batch_size))


def place(model: nn.Module, images: Any, labels: Any) -> tuple[Split, Compute]:
    """Bring examples to a network's device, after looking whether they fit it.

    Returns:
        The examples there; and the device, in fp32 and with the caller's threads.

    Raises:
        DataError: images or labels have another form, or do not lie in their range; or the network gives no logits.
    """
    if not isinstance(model, nn.Module):
        raise DataError(f"the network must be an nn.Module, and is a {type(model).__name__}; wrap it in one")
    images, labels = _as_tensor(images), _as_tensor(labels)
    if images.dim() != 4 or labels.dim() != 1 or len(images) != len(labels):
        shapes = f"{tuple(images.shape)} and {tuple(labels.shape)}"
        raise DataError(f"images (N, C, H, W) and labels (N,) are needed, these are {shapes}")
    if not len(images):
        raise DataError("there are no images to ask about; give at least one")
    if not (images.is_floating_point() or images.dtype == torch.uint8) or labels.is_floating_point():
        kinds = f"{images.dtype} and {labels.dtype}"
        raise DataError(f"images must be floats in [0, 1] or uint8, and labels whole numbers; these are {kinds}")
    parameter = next(model.parameters(), None)
    device = images.device if parameter is None else parameter.device
    compute = Compute(device, "fp32", torch.get_num_threads(), "contiguous")
    split = Split(images.detach().to(device), labels.detach().to(device, torch.int64))
    require_pixels(to_pixels(split.images[:]))
    num_classes = _num_classes(model, to_pixels(split.images[:1]))
    lowest, highest = (int(end) for end in torch.aminmax(split.labels))
    if lowest < 0 or highest >= num_classes:
        raise DataError(f"labels must lie in [0, {num_classes}), these lie in [{lowest}, {highest}]")
    return split, compute


def _as_tensor(values: Any) -> Tensor:
    """A tensor of tensors, arrays or lists.

    Raises:
        DataError: they are none of these.
    """
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"images and labels must be tensors or arrays, and one is a {type(values).__name__}") from error


def _num_classes(model: nn.Module, images: Tensor) -> int:
    """K of the logits (N, K) that a network gives.

    Raises:
        DataError: it gives something else, or does not take the images.
    """
    try:
        with torch.no_grad(), evaluating(model):
            logits = model(images)
    except RuntimeError as error:
        raise DataError(
            f"the network does not take float32 images {tuple(images.shape)}: {error}; check channels and size, and "
            "give a network of another precision as model.float()"
        ) from error
    if not isinstance(logits, Tensor) or logits.dim() != 2 or logits.shape[1] < 2:
        told = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise DataError(f"the network must give logits (N, K) of at least two classes, and gives {told}; wrap it")
    return int(logits.shape[1])


@contextmanager
def undisturbed() -> Iterator[None]:
    """Leave the random generators of the caller's process as they are, and take gradients whatever mode it is in."""
    with torch.random.fork_rng(initialised_accelerators()), torch.inference_mode(mode=False):
        yield


def _suite(  # noqa: PLR0913 (the options of `attack` and `measure`, once)
    radii: tuple[Distance, ...],
    steps: int,
    step_size: Distance | None,
    norm: Norm,
    name: str,
    restarts: int,
    seed: int,
    decides: PointName,
) -> AttackSuite:
    """Options as an attack.

    Raises:
        ConfigError: one of them is wrong.
    """
    if norm not in get_args(Norm):
        raise ConfigError(f"norm={norm!r} is unknown; use one of {', '.join(map(repr, get_args(Norm)))}")
    is_registered = name not in get_args(AttackName)
    if is_registered:
        require_registered(name, norm, "pixel")
    if steps < 0 or restarts < 1:
        raise ConfigError("an attack needs steps of at least 0 and restarts of at least 1")
    epsilons = tuple(exact_distance(radius, norm) for radius in radii)
    length = None if step_size is None else exact_distance(step_size, norm)
    if is_registered:  # it takes steps of its own, and its last point decides
        return AttackSuite(epsilons, restarts=restarts, seed=seed, name=name, norm=norm)
    chosen: Fraction | Literal["crossing"] | None = "crossing" if length is None and name == "pgd" else length
    return AttackSuite(epsilons, steps, chosen, restarts, seed, name, norm, decides=decides)


def gathered(data: Tensor | Iterable[Any], labels: Tensor | None, limit: int | None) -> tuple[Tensor, Tensor]:
    """The first examples of whatever form they come in, as images (N, C, H, W) and labels (N,).

    Raises:
        DataError: they come in none of the forms that `measure` takes.
    """
    if labels is not None:
        return _as_tensor(data)[:limit], _as_tensor(labels)[:limit]
    if isinstance(data, Tensor):
        raise DataError("give images with labels, or a data loader alone")
    images_met, labels_met, count = [], [], 0
    for pair in data:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], Tensor):
            raise DataError(
                "a data loader or data set must give pairs (images, labels) of tensors; for images of another kind "
                "give the data set a transform, such as torchvision's ToTensor"
            )
        images, given = pair[0], torch.as_tensor(pair[1])
        images_met.append(images if images.dim() == 4 else images[None])
        labels_met.append(given.reshape(-1))
        count += len(images_met[-1])
        if limit is not None and count >= limit:
            break
    if not images_met:
        raise DataError("there are no images to ask about; give at least one")
    return torch.cat(images_met)[:limit], torch.cat(labels_met)[:limit]
