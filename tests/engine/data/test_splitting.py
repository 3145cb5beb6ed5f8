import pytest

from claf_engine.data.splitting import split_named


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("data/train-00000-of-00002.parquet", "train"),
        ("plain_text/test-00000-of-00001-abc.parquet", "test"),
        ("validation/0.arrow", "validation"),
        ("set-val-000.tar", "validation"),
        ("Train_01.tar", "train"),
        ("trained.parquet", None),
        ("latest.parquet", None),
        ("pictures.parquet", None),
    ],
)
def test_the_name_of_a_file_tells_its_split(name: str, split: str | None) -> None:
    assert split_named(name) == split
