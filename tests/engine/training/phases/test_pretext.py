"""Pretext tasks against a plain loop of their equations, and what pretraining leaves behind."""

from typing import Any

import pytest
import torch
from torch import Tensor

from claf_engine.config import RunConfig
from claf_engine.data import to_pixels
from claf_engine.data.pretexts import permutations, shuffled, turned
from claf_engine.data.views import shift_and_flip
from claf_engine.events.ticks import Boundary, PartEnd
from claf_engine.models.network import ADVERSARIAL, NATURAL
from claf_engine.terms.errors import ConfigError
from claf_engine.training.methods import phases_of
from claf_engine.training.optimizers import learning_rate
from claf_engine.training.phases.pretext import Puzzles, climbed, pose, pretext, task_of
from claf_engine.training.session import Session
from tests.engine.tiny import tiny_config, tiny_data, tiny_session

TASKS: dict[str, dict[str, Any]] = {
    "rotation": {"task": "rotation"},
    "jigsaw": {"task": "jigsaw", "grid": 2, "permutations": 12},
    "selfie": {"task": "selfie", "grid": 4, "attention_layers": 1},
}
tasks = pytest.mark.parametrize("task", TASKS)
kinds = pytest.mark.parametrize("images", ["natural", "adversarial"])


def config_of(task: str, **changes: object) -> RunConfig:
    return tiny_config(method="pretext", pretext={"epochs": 2, **TASKS[task], **changes})


def boundaries(session: Session) -> list[Boundary]:
    return [tick for tick in pretext(session) if isinstance(tick, Boundary)]


class Plain:
    """Pretraining in plain torch, one image and one line after the other, on the same streams of random numbers."""

    def __init__(self, session: Session) -> None:
        self.session, self.config, self.streams = session, session.config, session.state.generators
        self.task = session.config.pretext.task
        self.encoder, self.head = session.state.network.encoder, session.companion(self.task)

    def question(self, x: Tensor) -> tuple[Tensor, Tensor]:
        stream, count = self.streams["views"], len(x)
        if self.task == "rotation":
            answers = torch.randint(4, (count,), generator=stream)
            return torch.stack([i.rot90(int(k), (1, 2)) for i, k in zip(x, answers, strict=True)]), answers
        if self.task == "jigsaw":
            answers = torch.randint(12, (count,), generator=stream)
            return shuffled(x, permutations(2, 12)[answers]), answers
        return x, torch.rand((count, 16), generator=stream).argsort(1)

    def loss(self, x: Tensor, answers: Tensor) -> Tensor:
        if self.task != "selfie":
            p = self.head(self.encoder(x)).softmax(1)
            return -p[torch.arange(len(x)), answers].log().mean()
        side, total = x.shape[-1] // 4, torch.zeros(())
        places = [(row * side, column * side) for row in range(4) for column in range(4)]
        patches = [image[:, r : r + side, c : c + side] for image in x for r, c in places]
        features = self.encoder(torch.stack(patches)).view(len(x), 16, -1)
        for image in range(len(x)):
            scores = self.head(features[image : image + 1], answers[image : image + 1])[0]
            for place in range(4):
                total = total - (scores[place].exp()[place] / scores[place].exp().sum()).log() / 4
        return total / len(x)

    def attacked(self, x: Tensor, answers: Tensor) -> Tensor:
        attack = self.config.attack
        epsilon, point = (
            float(attack.epsilon),
            x + float(attack.epsilon) * (torch.rand(x.shape, generator=self.streams["attack"]) * 2 - 1),
        )
        point = point.clamp(0, 1)
        self.encoder.eval()
        for _ in range(attack.steps):
            point = point.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(self.loss(point, answers), point)
            moved = point.detach() + float(attack.step_size) * gradient.sign() - x
            point = (x + moved.clamp(-epsilon, epsilon)).clamp(0, 1)
        self.encoder.train()
        return point.detach()

    def losses(self) -> list[float]:
        settings, train = self.config.features_optimizer, self.session.data.train
        trained = [*self.encoder.parameters(), *self.head.parameters()]
        optimizer = torch.optim.SGD(trained, lr=1, momentum=settings.momentum, weight_decay=settings.weight_decay)
        found: list[float] = []
        for _ in range(2):
            for rows in torch.randperm(len(train), generator=self.streams["order"]).split(self.config.batch_size):
                view = shift_and_flip(to_pixels(train.images[rows]), self.config.views, self.streams["views"])
                x, answers = self.question(view)
                if self.config.pretext.images == "adversarial":
                    attacked = self.attacked(x, answers)
                    loss = (self.loss(attacked, answers) + self.loss(x, answers)) / 2
                else:
                    loss = self.loss(x, answers)
                optimizer.param_groups[0]["lr"] = learning_rate(settings, len(found), 6, 3)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                found.append(loss.item())
        return found


@kinds
@tasks
def test_pretraining_is_the_plain_loop_of_its_equations_loss_for_loss(task: str, images: str) -> None:
    config = config_of(task, images=images)
    session, plain = tiny_session(config), Plain(tiny_session(config))
    losses, expected = [float(step.loss) for step in boundaries(session)], plain.losses()
    assert losses[0] == pytest.approx(expected[0], abs=1e-6)
    assert losses == pytest.approx(expected, abs=1e-6 if images == "natural" else 1e-3)
    assert len(losses) == 6
    for name, generator in session.state.generators.items():
        assert torch.equal(generator.get_state(), plain.streams[name].get_state()), name


def puzzles_of(task: str, **changes: object) -> tuple[Session, Puzzles]:
    session = tiny_session(config_of(task, **changes))
    rows = next(session.batches())
    return session, pose(task_of(session), session.training_batch(rows)[0])


@tasks
def test_the_attack_climbs_the_gradient_of_the_loss_itself(task: str) -> None:
    session, puzzles = puzzles_of(task)
    played, plain = task_of(session), Plain(session)
    images = puzzles.images.clone().requires_grad_(True)
    session.state.network.eval()
    (expected,) = torch.autograd.grad(plain.loss(images, puzzles.answers), images)
    found = climbed(played, puzzles)(puzzles.images)
    # Log-odds have the direction of cross-entropy, image by image.
    largest = [gradient.abs().flatten(1).amax(1).view(-1, 1, 1, 1) for gradient in (found, expected)]
    assert torch.allclose(found / largest[0], expected / largest[1], atol=1e-4)


@tasks
def test_labels_play_no_part_in_pretraining(task: str) -> None:
    session, mixed = tiny_session(config_of(task)), tiny_session(config_of(task))
    mixed.data.train.labels.copy_(mixed.data.train.labels.flip(0))
    assert [float(step.loss) for step in boundaries(session)] == [float(step.loss) for step in boundaries(mixed)]


@tasks
def test_only_encoder_and_head_learn_and_the_head_goes_at_the_end(task: str) -> None:
    session = tiny_session(config_of(task))
    network = session.state.network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    steps = pretext(session)
    while not isinstance(next(steps), PartEnd):
        pass
    assert list(session.state.companions) == [task]
    assert list(session.state.optimizers) == [f"encoder+{task}"]
    list(steps)
    assert (session.state.companions, session.state.optimizers) == ({}, {})
    moved = {name.split(".")[0] for name, value in network.state_dict().items() if not torch.equal(before[name], value)}
    assert moved == {"encoder"}


def test_the_encoder_learns_to_tell_turns_apart() -> None:
    """Images that are bright at their top: the loss falls far below that of guessing."""
    config = config_of("rotation", epochs=12, images="natural", view="image")
    data = tiny_data()
    data.train.images[:, :, :3] = 255
    losses = [float(step.loss) for step in boundaries(tiny_session(config, data))]
    assert sum(losses[:3]) / 3 > 1.2
    assert sum(losses[-3:]) / 3 < 1.0


@pytest.mark.parametrize(
    ("head", "name", "classifier"),
    [
        ("linear", "linear_evaluation", NATURAL),
        ("robust-linear", "adversarial_linear_evaluation", ADVERSARIAL),
        ("fine-tune", "supervised", ADVERSARIAL),
    ],
)
def test_a_head_is_one_phase_after_pretraining(head: str, name: str, classifier: str) -> None:
    phases = phases_of(config_of("rotation", head=head))
    assert [(phase.name, phase.classifier) for phase in phases] == [("pretext", None), (name, classifier)]


def test_a_head_of_no_epochs_is_refused() -> None:
    config = tiny_config(method="pretext", supervised__epochs=0)
    with pytest.raises(ConfigError, match="pretext.head = 'fine-tune' trains for no epochs: set supervised.epochs"):
        phases_of(config)


def test_fine_tuning_is_the_method_at_from_the_pretrained_encoder() -> None:
    session = tiny_session(config_of("rotation"))
    boundaries(session)
    session.state.cursor.end_phase()
    other = tiny_session(tiny_config(method="at"))
    other.state.network.load_state_dict(session.state.network.state_dict())
    for name, generator in session.state.generators.items():
        other.state.generators[name].set_state(generator.get_state())
    losses = [
        [float(tick.loss) for tick in phases_of(each.config)[-1].play(each) if isinstance(tick, Boundary)]
        for each in (session, other)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("task", ["jigsaw", "selfie"])
def test_images_without_a_pixel_for_each_tile_are_refused(task: str) -> None:
    session = tiny_session(config_of(task, grid=4), tiny_data(side=3))
    with pytest.raises(ConfigError, match="images of 3x3 pixels have no 4x4 tiles; set a smaller pretext.grid"):
        task_of(session)


@tasks
def test_images_of_odd_sides_are_turned_and_cut_as_well(task: str) -> None:
    session = tiny_session(config_of(task), tiny_data(side=11))
    assert all(bool(torch.isfinite(step.loss)) for step in boundaries(session))


def test_questions_are_drawn_for_the_whole_batch_from_the_stream_of_views() -> None:
    assert torch.equal(puzzles_of("rotation")[1].answers, puzzles_of("rotation")[1].answers)
    session, puzzles = puzzles_of("rotation", view="image")
    rows = session.state.order[: len(puzzles.answers)]
    images = to_pixels(session.data.train.images[rows])
    assert torch.equal(puzzles.images, turned(images, puzzles.answers))
