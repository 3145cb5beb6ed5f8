import io
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from claf_engine.config import DataConfig
from claf_engine.data import Dataset, Streamed, dataset_steps, load_dataset
from claf_engine.data.shards import expanded
from claf_engine.terms.errors import DataError
from tests.engine.pictures import drawn

CPU = torch.device("cpu")


def png(label: int, index: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(drawn(label, index)).save(stream, "PNG")
    return stream.getvalue()


def write(file: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return file


def members(count: int, first: int = 0, num_classes: int = 2) -> dict[str, bytes]:
    """Images with their labels and what else shards hold."""
    found = {}
    for index in range(first, first + count):
        label = index % num_classes
        found |= {f"x/{index:04d}.png": png(label, index), f"x/{index:04d}.cls": b"%d\n" % label}
        found[f"x/{index:04d}.json"] = b"{}"
    return found


def write_shards(root: Path) -> Path:
    for number in range(3):
        write(root / f"set-train-{number:03d}.tar", members(8, 8 * number))
    write(root / "set-test-000.tar", members(6, 100))
    return root


def load(source: str, **settings: object) -> Dataset:
    config = {"source": f"wds:{source}", "num_validation": 4, "validation": "own", **settings}
    return load_dataset(DataConfig.model_validate(config), CPU)


def pictures(images: torch.Tensor | Streamed) -> set[bytes]:
    return {each.numpy().tobytes() for each in images[:]}


def of(*indices: int) -> set[bytes]:
    return {drawn(index % 2, index).transpose(2, 0, 1).tobytes() for index in indices}


@pytest.mark.parametrize("pattern", ["", "/set-{train,test}-{000..000}.tar"])
def test_shards_are_read_by_their_folder_or_by_a_pattern(tmp_path: Path, pattern: str) -> None:
    data = load(f"{write_shards(tmp_path)}{pattern}")
    assert pictures(data.test.images) == of(*range(100, 106))
    assert data.class_names == ("0", "1")
    rest = pictures(data.train.images) | pictures(data.validation.images)
    assert rest == (of(*range(8)) if pattern else of(*range(24)))


def test_shards_of_one_split_are_divided_and_say_so(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / f"a-{number}.tar", members(10, 10 * number))
    data = load(f"{tmp_path}/a-{{0..1}}.tar")
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 4, 4)
    assert "Held 4 of the 20 images" in data.notices[0]


def test_streamed_shards_give_the_same_images(tmp_path: Path) -> None:
    root = write_shards(tmp_path)
    held, read = load(str(root), resident="always"), load(str(root), resident="never", workers=0)
    assert torch.equal(held.train.images[:], read.train.images[:])
    assert isinstance(read.train.images, Streamed)


def test_classes_may_have_names(tmp_path: Path) -> None:
    (write_shards(tmp_path) / "classnames.txt").write_text("cat\ndog\n")
    assert load(str(tmp_path)).class_names == ("cat", "dog")
    write(tmp_path / "set-test-000.tar", {"1.png": png(0, 1), "1.cls": b"dog"})
    with pytest.raises(DataError, match="give whole numbers from 0, or names of classes"):
        load(str(tmp_path))


def test_a_pattern_has_as_many_digits_as_it_is_written_with(tmp_path: Path) -> None:
    for name in ("a-08.tar", "a-09.tar", "a-10.tar", "b-08.tar"):
        write(tmp_path / name, {})
    assert [Path(file).name for file in expanded("x", f"{tmp_path}/a-{{08..10}}.tar")] == [
        "a-08.tar",
        "a-09.tar",
        "a-10.tar",
    ]
    assert [Path(file).name for file in expanded("x", f"{tmp_path}/{{a,b}}-08.tar")] == ["a-08.tar", "b-08.tar"]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a-0.tar", members(4))
    with pytest.raises(DataError, match=r"shard .*a-1\.tar of .* is missing, one of 2; bring it back"):
        load(f"{tmp_path}/a-{{0..2}}.tar")


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        ({"1.txt": b"x"}, r"t-test\.tar holds no image with a name in png, jpg"),
        ({"1.png": png(0, 1)}, r"image .*t-test\.tar:1\.png has no label; add 1\.cls"),
        ({"1.png": png(0, 1), "1.cls": b" \n"}, r"label .*t-test\.tar:1\.cls is empty"),
        ({"1.png": png(0, 1), "1.cls": b"-1"}, r"the labels of .* lie in \[-1, 1\]"),
        ({"1.png": png(0, 1)[:60], "1.cls": b"1"}, r"cannot read the image .*t-test\.tar:1\.png; replace"),
    ],
)
def test_what_is_wrong_in_a_shard_is_named(tmp_path: Path, spoiled: dict[str, bytes], message: str) -> None:
    write(tmp_path / "t-train.tar", members(20))
    write(tmp_path / "t-test.tar", spoiled)
    with pytest.raises(DataError, match=message):
        load(str(tmp_path))


def test_names_may_have_dots_and_images_that_belong_to_others_are_left_out(tmp_path: Path) -> None:
    dotted = {
        f"v1.0/22.{index:02d}.{kind}": content
        for index in range(20)
        for kind, content in (("png", png(index % 2, index)), ("cls", b"%d" % (index % 2)))
    }
    masked = {
        "0001.png": png(0, 50),
        "0001.cls": b"0",
        "0001.mask.png": png(1, 51),
        "0002.png": png(1, 52),
        "0002.cls": b"1",
    }
    write(tmp_path / "train.tar", dotted)
    write(tmp_path / "test.tar", masked)
    data = load(str(tmp_path))
    assert pictures(data.train.images) | pictures(data.validation.images) == of(*range(20))
    assert pictures(data.test.images) == {
        drawn(0, 50).transpose(2, 0, 1).tobytes(),
        drawn(1, 52).transpose(2, 0, 1).tobytes(),
    }


def test_members_need_not_lie_beside_each_other(tmp_path: Path) -> None:
    found = members(20)
    apart = sorted(found, key=lambda name: name.rpartition(".")[2])
    write(tmp_path / "train.tar", {name: found[name] for name in apart})
    data = load(str(tmp_path))
    row = 0
    assert pictures(data.train.images[row : row + 1]) <= of(*range(int(data.train.labels[row]), 20, 2))


def test_a_packed_shard_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "t-train.tar", members(20), "w:gz")
    with pytest.raises(DataError, match="must be a plain tar file, not a packed one"):
        load(str(tmp_path))


def test_shards_whose_names_do_not_say_their_split_beside_others_are_refused(tmp_path: Path) -> None:
    write(write_shards(tmp_path) / "more.tar", members(4))
    with pytest.raises(DataError, match=r"more\.tar says neither train, val nor test, as others do; rename it"):
        load(str(tmp_path))


@pytest.mark.parametrize("resident", ["always", "never"])
def test_a_shard_that_goes_while_it_is_read_is_named(tmp_path: Path, resident: str) -> None:
    write_shards(tmp_path)
    settings = {"source": f"wds:{tmp_path}", "num_validation": 4, "resident": resident, "workers": 0}
    steps = dataset_steps(DataConfig.model_validate(settings), CPU)
    while not next(steps).activity.startswith(("measuring", "reading")):
        pass
    for shard in tmp_path.glob("*.tar"):
        shard.unlink()
    with pytest.raises(DataError, match=r"shard .*\.tar cannot be read \(No such file or directory\); bring it back"):
        list(steps)
