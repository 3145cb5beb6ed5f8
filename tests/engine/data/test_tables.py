import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from claf_engine.config import DataConfig
from claf_engine.data import Dataset, Streamed, load_dataset
from claf_engine.data.arrow_files import Table
from claf_engine.terms.errors import DataError
from tests.engine.pictures import drawn, save

CPU = torch.device("cpu")
NAMES = ["ant", "bee", "cat"]


def png(label: int, index: int, channels: int = 3) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(drawn(label, index, channels=channels)).save(stream, "PNG")
    return stream.getvalue()


def table(count: int, first: int = 0, names: list[str] | None = NAMES, **columns: Any) -> pa.Table:
    """Images as the Hub keeps them, with labels 0, 1, 2 in turn and, where names are given, what describes them."""
    labels = [index % 3 for index in range(count)]
    cells = [{"bytes": png(label, first + index), "path": None} for index, label in enumerate(labels)]
    made = pa.table({"image": cells, "label": labels, **columns})
    if names is None:
        return made
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    return made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def write_hub(root: Path, **parts: pa.Table) -> Path:
    """A clone of a data set's repository; each part in two files."""
    (root / "data").mkdir(parents=True)
    for part, rows in parts.items():
        half = len(rows) // 2
        for number, piece in enumerate((rows[:half], rows[half:])):
            pq.write_table(piece, root / "data" / f"{part}-{number:05d}-of-00002.parquet", row_group_size=4)
    return root


def load(source: str, **settings: object) -> Dataset:
    config = {"source": source, "num_validation": 3, "validation": "own", **settings}
    return load_dataset(DataConfig.model_validate(config), CPU)


def pictures(images: torch.Tensor | Streamed) -> set[bytes]:
    return {each.numpy().tobytes() for each in images[:]}


def of(*pairs: tuple[int, int]) -> set[bytes]:
    return {drawn(label, index).transpose(2, 0, 1).tobytes() for label, index in pairs}


def test_a_clone_of_a_repository_is_read_with_the_names_that_its_tables_tell(tmp_path: Path) -> None:
    data = load(f"hf:{write_hub(tmp_path, train=table(18), test=table(6, 100))}")
    assert (data.class_names, data.notices) == (("ant", "bee", "cat"), ())
    assert (len(data.train), len(data.validation), len(data.test)) == (15, 3, 6)
    assert pictures(data.test.images) == of(*((index % 3, 100 + index) for index in range(6)))
    assert torch.bincount(data.test.labels).tolist() == [2, 2, 2]


def test_the_validation_images_of_a_set_are_selected_on(tmp_path: Path) -> None:
    root = write_hub(tmp_path, train=table(18), validation=table(6, 50), test=table(6, 100))
    data = load(f"hf:{root}", num_validation=1000)
    assert (len(data.train), len(data.validation)) == (18, 6)
    assert pictures(data.validation.images) == of(*((index % 3, 50 + index) for index in range(6)))


def test_test_images_without_labels_are_left_alone(tmp_path: Path) -> None:
    secret = table(6, 100).set_column(1, "label", pa.array([-1] * 6))
    data = load(f"hf:{write_hub(tmp_path, train=table(18), validation=table(6, 50), test=secret)}")
    assert pictures(data.test.images) == of(*((index % 3, 50 + index) for index in range(6)))
    assert data.notices[0].startswith("Left the 6 test images of ")
    assert data.notices[1].startswith("Took the 6 validation images of ")


def test_what_save_to_disk_wrote_is_read(tmp_path: Path) -> None:
    for part, rows in (("train", table(18)), ("test", table(6, 100))):
        (tmp_path / part).mkdir()
        file = tmp_path / part / "data-00000-of-00001.arrow"
        with pa.OSFile(str(file), "wb") as target, pa.ipc.new_stream(target, rows.schema) as writer:
            writer.write_table(rows, max_chunksize=4)
        (tmp_path / part / "dataset_info.json").write_text("{}")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    data = load(f"hf:{tmp_path}")
    assert data.class_names == ("ant", "bee", "cat")
    assert pictures(data.test.images) == of(*((index % 3, 100 + index) for index in range(6)))


def test_one_file_is_divided_and_says_so(tmp_path: Path) -> None:
    pq.write_table(table(30), tmp_path / "pictures.parquet")
    data = load(f"parquet:{tmp_path / 'pictures.parquet'}")
    assert (len(data.train), len(data.validation), len(data.test)) == (21, 3, 6)
    assert data.notices[0].startswith("Held 6 of the 30 images of ")


def test_names_are_taken_from_the_readme_where_tables_do_not_tell_them(tmp_path: Path) -> None:
    root = write_hub(tmp_path, train=table(18, names=None), test=table(6, names=None))
    (root / "README.md").write_text(
        "---\nlicense: mit\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n"
        "        names:\n          '0': ant\n          '10': x\n          '1': bee\n          '2': cat\n---\n# Set\n"
    )
    assert load(f"hf:{root}").class_names == ("ant", "bee", "cat", "x")


def test_labels_in_words_are_classes_in_alphabetical_order(tmp_path: Path) -> None:
    words = [["wolf", "dog", "eel"][index % 3] for index in range(18)]
    rows = table(18, names=None).set_column(1, "label", pa.array(words))
    pq.write_table(rows, tmp_path / "a.parquet")
    data = load(f"parquet:{tmp_path}")
    assert data.class_names == ("dog", "eel", "wolf")
    row = int((data.test.labels == 2).nonzero()[0])
    assert pictures(data.test.images[row : row + 1]) <= of(*((0, index) for index in range(0, 18, 3)))


def test_plain_bytes_and_files_beside_the_table_are_images_too(tmp_path: Path) -> None:
    save(tmp_path / "pictures" / "0.png", drawn(0, 0))
    cells = [{"bytes": None, "path": "pictures/0.png"}, *({"bytes": png(1, i), "path": None} for i in range(1, 10))]
    pq.write_table(pa.table({"image": cells, "label": [0] + [1] * 9}), tmp_path / "a.parquet")
    data = load(f"parquet:{tmp_path}")
    assert of((0, 0)) <= pictures(data.train.images) | pictures(data.validation.images) | pictures(data.test.images)
    pq.write_table(pa.table({"img": [png(i % 2, i) for i in range(10)], "y": [0, 1] * 5}), tmp_path / "a.parquet")
    assert load(f"parquet:{tmp_path}").train.images.shape[1:] == (3, 8, 8)


def test_two_labels_have_to_be_chosen_between(tmp_path: Path) -> None:
    rows = table(18, fine=[index % 2 for index in range(18)])
    features = {name: {"names": ["a", "b", "c"], "_type": "ClassLabel"} for name in ("label", "fine")}
    rows = rows.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(rows, tmp_path / "a.parquet")
    with pytest.raises(
        DataError, match=r"it is not plain which column .* holds the labels.*label_column= one of label, f"
    ):
        load(f"parquet:{tmp_path}")
    assert set(load(f"parquet:{tmp_path}", label_column="fine").train.labels.tolist()) == {0, 1}
    with pytest.raises(DataError, match="has no column 'x'; its columns are image, label, fine"):
        load(f"parquet:{tmp_path}", label_column="x")


def test_several_sets_in_one_folder_are_refused(tmp_path: Path) -> None:
    write_hub(tmp_path / "full", train=table(6), test=table(6))
    write_hub(tmp_path / "small", train=table(6), test=table(6))
    with pytest.raises(DataError, match=r"several data sets with test images, in full/data and small/data; name one"):
        load(f"hf:{tmp_path}")


def cut(root: Path) -> None:
    file = root / "data" / "test-00001-of-00002.parquet"
    file.write_bytes(file.read_bytes()[:300])


def spoil(root: Path) -> None:
    cells = [{"bytes": b"no image", "path": None}] * 6
    pq.write_table(pa.table({"image": cells, "label": [0, 1, 2] * 2}), root / "data" / "test-00001-of-00002.parquet")


def deepen(root: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(stream, "PNG")
    cells = [{"bytes": stream.getvalue(), "path": None}]
    pq.write_table(pa.table({"image": cells, "label": [0]}), root / "data" / "test-00001-of-00002.parquet")


def mislabel(root: Path) -> None:
    rows = table(4).set_column(1, "label", pa.array([0, 1, 2, 7]))
    pq.write_table(rows, root / "data" / "test-00001-of-00002.parquet")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, r"cannot read .*test-00001-of-00002\.parquet .*; replace"),
        (spoil, r"6 images of .* cannot be used: 0 of .*test-00001-of-00002.parquet is unreadable"),
        (deepen, "has more than 8 bits per channel; save it as 8-bit"),
        (mislabel, r"the labels of .* lie in \[0, 7\], and its 3 classes allow 0 to 2"),
    ],
)
def test_a_damaged_table_is_refused_with_its_file(tmp_path: Path, damage: Any, message: str) -> None:
    root = write_hub(tmp_path, train=table(18), test=table(6, 100))
    damage(root)
    with pytest.raises(DataError, match=message):
        load(f"hf:{root}")


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \.parquet or \.arrow files; name their folder"):
        load(f"hf:{tmp_path}")


def test_streamed_tables_are_unpacked_once_and_give_the_same_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_hub(tmp_path / "set", train=table(18), test=table(6, 100))
    held, read = load(f"hf:{root}", resident="always"), load(f"hf:{root}", resident="never", workers=0)
    assert torch.equal(held.train.images[:], read.train.images[:])
    assert held.train.sha256 == read.train.sha256
    kept = sorted((tmp_path / "cache" / "tables").iterdir())
    assert len(kept) == 4
    assert kept[0].suffix == ".arrow"
    monkeypatch.setattr("pyarrow.parquet.ParquetFile.iter_batches", lambda *_, **__: pytest.fail("unpacked again"))
    assert torch.equal(load(f"hf:{root}", resident="never", workers=0).test.images[:], held.test.images[:])


def test_rows_are_found_wherever_they_lie(tmp_path: Path) -> None:
    rows = table(11)
    pq.write_table(rows[:7], tmp_path / "a.parquet", row_group_size=3)
    pq.write_table(rows[7:], tmp_path / "b.parquet", row_group_size=3)
    found = Table((str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")), "image", (7, 4))
    assert [found.raw(index) for index in (10, 0, 6, 7, 3)] == [png(i % 3, i) for i in (10, 0, 6, 7, 3)]
    assert found.name(8) == f"1 of {tmp_path / 'b.parquet'}"
