import torch
from scipy.fft import dct, dctn

from claf_engine.models.rectifier import FLOOR, PerturbationSet, build_detector, build_rectifier, cosines, log_spectrum


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_cosine_transform_is_that_of_scipy() -> None:
    values = torch.randn(7, generator=seeded())
    theirs = torch.as_tensor(dct(values.double().numpy(), norm="ortho")).float()
    torch.testing.assert_close(cosines(7) @ values, theirs, rtol=0, atol=1e-6)


def test_the_spectrum_of_gray_changes_is_that_of_scipy() -> None:
    changes = 0.1 * torch.randn(3, 3, 6, 9, generator=seeded())
    theirs = torch.as_tensor(dctn(changes.double().mean(1).numpy(), axes=(1, 2), norm="ortho")).abs()
    ours = log_spectrum(changes, cosines(6), cosines(9)).exp() - FLOOR
    torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-6)


def test_a_rectifier_is_drawn_from_its_generator_alone_and_begins_as_the_identity() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (build_rectifier(3, 8, 2, seeded(seed)) for seed in (1, 1, 2))
    build_detector((8, 8), seeded())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.first.weight, same.first.weight)
    assert not torch.equal(one.first.weight, other.first.weight)
    images = torch.rand(2, 3, 8, 8, generator=seeded())
    assert torch.equal(one(images), images)


def test_a_detector_gives_one_score_an_image_with_a_gradient() -> None:
    detector = build_detector((6, 9), seeded()).eval()
    changes = (0.1 * torch.randn(4, 3, 6, 9, generator=seeded())).requires_grad_(True)
    scores = detector(changes)
    assert scores.shape == (4,)
    (gradient,) = torch.autograd.grad(scores.sum(), changes)
    assert gradient.isfinite().all()
    assert float(gradient.abs().sum()) > 0


def test_perturbations_are_kept_as_a_buffer() -> None:
    assert {name: tensor.shape for name, tensor in PerturbationSet(4, 3, (5, 6)).state_dict().items()} == {
        "values": (4, 3, 5, 6)
    }
