"""Image sources, as uint8, split into train, validation and test; and random views of images."""

from claf_engine.data.dataset import Dataset, Split, to_pixels
from claf_engine.data.loading import dataset_steps, load_dataset
from claf_engine.data.registered import Images, register_data
from claf_engine.data.streamed import Streamed

__all__ = [
    "Dataset",
    "Images",
    "Split",
    "Streamed",
    "dataset_steps",
    "load_dataset",
    "register_data",
    "to_pixels",
]
