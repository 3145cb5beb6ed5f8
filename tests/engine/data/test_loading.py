import torch

from claf_engine.config import DataConfig
from claf_engine.data import load_dataset


def test_images_that_keep_their_size_say_so() -> None:
    settings = {"num_train": 4, "num_validation": 4, "num_test": 4}
    told = [
        load_dataset(DataConfig.model_validate({**settings, "image_size": side}), torch.device("cpu")).notices
        for side in (None, 32, 48)
    ]
    sentence = "The images of shapes keep their 32x32 pixels: data.image_size does not change them."
    assert told == [(), (), (sentence,)]
