from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from claf_engine.config import DataConfig
from claf_engine.config.plugins import load_plugin
from claf_engine.config.registry import DATA
from claf_engine.data import Dataset, Streamed, load_dataset
from claf_engine.terms.errors import DataError
from tests.engine.pictures import drawn

CPU = torch.device("cpu")
TEXT = '''
import numpy as np

class Squares:
    """Map-style: (image, label) for a place."""
    classes = ["dark", "light"]
    def __init__(self, count):
        self.count = count
    def __len__(self):
        return self.count
    def __getitem__(self, index):
        levels = np.random.default_rng(index).integers(0, 100, (12, 10, 3), dtype=np.uint8)
        return levels + np.uint8(100 * (index % 2)), index % 2

def both():
    return Squares(20), Squares(8)

def one():
    return Squares(20)

def named():
    return {"train": Squares(20), "val": Squares(4), "test": Squares(8), "class_names": ["a", "b"]}

class Parity(Squares):
    """Keeps other labels than it gives."""
    def __init__(self, count):
        super().__init__(count)
        self.targets = list(range(count))

def relabelled():
    return Parity(20), Parity(8)

class Kept(Parity):
    """Keeps what it gives, which need not be read."""
    def __init__(self, count):
        super().__init__(count)
        self.targets = [index % 2 for index in range(count)]

def kept():
    return Kept(20), Kept(8)

def number():
    return 3

def broken():
    raise KeyError("gone")

def odd():
    return {"train": Squares(20), "extra": Squares(3)}

def empty():
    return Squares(20), Squares(0)
'''


@pytest.fixture(autouse=True)
def _own_registry() -> Iterator[None]:
    before = dict(DATA.entries)
    yield
    DATA.entries.clear()
    DATA.entries.update(before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "squares.py"
    path.write_text(TEXT)
    load_plugin(path, as_data=True)
    return path


def load(file: Path, function: str, **settings: object) -> Dataset:
    config = {"source": f"{file}:{function}", "num_validation": 4, "validation": "own", **settings}
    return load_dataset(DataConfig.model_validate(config), CPU)


def test_a_function_gives_what_is_trained_on_and_what_is_tested_on(file: Path) -> None:
    data = load(file, "both")
    assert data.class_names == ("dark", "light")
    assert (len(data.train), len(data.validation), len(data.test)) == (16, 4, 8)
    assert data.train.images.shape[1:] == (3, 12, 10)
    first = np.random.default_rng(0).integers(0, 100, (12, 10, 3), dtype=np.uint8).transpose(2, 0, 1)
    assert any(np.array_equal(each.numpy(), first) for each in data.test.images)


@pytest.mark.parametrize("function", ["relabelled", "kept"])
def test_labels_are_those_that_items_have(file: Path, function: str) -> None:
    data = load(file, function)
    assert torch.equal(data.train.labels.bincount(), torch.tensor([8, 8]))
    assert torch.equal(data.test.images.flatten(1).float().mean(1) > 100, data.test.labels == 1)


def test_one_data_set_is_divided_and_says_so(file: Path) -> None:
    data = load(file, "one")
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 4, 4)
    assert "Held 4 of the 20 images" in data.notices[0]


def test_a_dictionary_may_name_validation_images_and_classes(file: Path) -> None:
    data = load(file, "named")
    assert data.class_names == ("a", "b")
    assert (len(data.train), len(data.validation), len(data.test)) == (20, 4, 8)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nowhere", "squares.py has no function nowhere; name one that gives a data set"),
        ("number", "number gives a int; give a data set with len"),
        ("broken", "broken of squares.py gives no data set: KeyError in line 46: 'gone'"),
        ("odd", "odd gives 'extra'; use the keys train, test, validation and class_names"),
        ("empty", "empty gives no images for test; give at least one"),
    ],
)
def test_what_is_no_data_set_is_refused(file: Path, function: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(file, function)


def test_a_file_that_nobody_named_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "squares.py"
    path.write_text(TEXT)
    with pytest.raises(ValueError, match=r"a function of a file that was not named on the command line; add --plugin"):
        DataConfig(source=f"{path}:both")


def test_another_process_builds_the_data_set_again_to_stream_it(file: Path) -> None:
    held, read = load(file, "both", resident="always"), load(file, "both", resident="never", workers=1)
    images = read.train.images
    assert isinstance(images, Streamed)
    images.read_ahead(torch.arange(16).split(5))
    assert torch.equal(images.ahead(torch.arange(5)), held.train.images[:5])
    images.close()


def test_a_data_set_is_asked_by_one_thread_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "busy.py"
    path.write_text(
        "import threading, time\nimport numpy as np\nclass Busy:\n"
        "    def __init__(self): self.threads = set()\n"
        "    def __len__(self): return 40\n"
        "    def __getitem__(self, index):\n"
        "        self.threads.add(threading.get_ident())\n"
        "        assert len(self.threads) == 1\n"
        "        return np.full((8, 8), index, np.uint8), index % 2\n"
        "def build(): return Busy()\n"
    )
    load_plugin(path, as_data=True)
    held, read = load(path, "build"), load(path, "build", resident="never", workers=0)
    assert torch.equal(held.train.images[:], read.train.images[:])


def test_pixels_of_any_form_arrive_as_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "levels.npy", drawn(0, 0))
    forms = {
        "pil": "Image.fromarray(levels)",
        "last": "levels",
        "first": "levels.transpose(2, 0, 1)",
        "tensor": "torch.from_numpy(levels.transpose(2, 0, 1).copy())",
        "floats": "levels / 255",
        "float_tensor": "torch.from_numpy((levels.transpose(2, 0, 1) / 255).astype('float32'))",
    }
    path = tmp_path / "forms.py"
    path.write_text(
        f"import numpy as np, torch\nfrom PIL import Image\nlevels = np.load({str(tmp_path / 'levels.npy')!r})\n"
        + "\n".join(
            f"def {name}(): return [({text}, index % 2) for index in range(20)]" for name, text in forms.items()
        )
    )
    load_plugin(path, as_data=True)
    for name in forms:
        assert np.array_equal(load(path, name).train.images[0].numpy(), drawn(0, 0).transpose(2, 0, 1)), name


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("(np.zeros((8, 8, 3)) - 1, 0)", r"image 0 of .* leaves \[0, 1\]; give floating values in it"),
        ("(np.zeros((8, 8, 3), np.uint16), 0)", "is uint16; give uint8"),
        ("(np.zeros((8, 8, 5), np.uint8), 0)", r"has shape \(8, 8, 5\); give \(height, width\)"),
        ("('x.png', 0)", "is a str; give a PIL image, an array or a tensor"),
        ("np.zeros((8, 8), np.uint8)", r"item 0 of .* is a ndarray; give pairs \(image, label\)"),
        ("(np.zeros((8, 8), np.uint8), 0.5)", "label 0 of the images of .* is 0.5; give whole numbers"),
    ],
)
def test_an_item_of_another_kind_is_refused_with_its_place(tmp_path: Path, item: str, message: str) -> None:
    path = tmp_path / "odd.py"
    path.write_text(f"import numpy as np\ndef build(): return [{item}] + [(np.zeros((8, 8), np.uint8), 1)] * 20\n")
    load_plugin(path, as_data=True)
    with pytest.raises(DataError, match=message):
        load(path, "build")
