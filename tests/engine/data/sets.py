"""Tiny data sets in the formats of well-known ones, which torchvision takes for the right ones."""

import hashlib
import pickle  # noqa: TID251  (CIFAR-100 is made of pickles; torchvision checks their hashes and reads them)
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image
from torchvision.datasets import CIFAR100, SVHN

from tests.engine.pictures import drawn


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def write_cifar100(data_dir: Path, monkeypatch: pytest.MonkeyPatch, num_classes: int = 100) -> None:
    """Two training images and one test image of each class, in the real files and folders."""
    folder = data_dir / "cifar100" / CIFAR100.base_folder
    folder.mkdir(parents=True)
    names = [f"thing {label:03d}" for label in range(num_classes)]
    files = {"meta": {"fine_label_names": names}}
    for part, each in (("train", 2), ("test", 1)):
        labels = [label for label in range(num_classes) for _ in range(each)]
        pixels = [drawn(label, index, 32).transpose(2, 0, 1).reshape(-1) for index, label in enumerate(labels)]
        files[part] = {"data": np.stack(pixels), "fine_labels": labels}  # type: ignore[dict-item]
    hashes = {}
    for name, content in files.items():
        (folder / name).write_bytes(pickle.dumps(content))
        hashes[name] = _md5((folder / name).read_bytes())
    monkeypatch.setattr(CIFAR100, "train_list", [["train", hashes["train"]]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", hashes["test"]]])
    monkeypatch.setattr(CIFAR100, "meta", {"filename": "meta", "key": "fine_label_names", "md5": hashes["meta"]})


def write_svhn(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 training and 20 test images of digits; the label of a zero is 10, as there."""
    splits = dict(SVHN.split_list)
    (data_dir / "svhn").mkdir(parents=True)
    for part, count in (("train", 40), ("test", 20)):
        digits = [index % 10 for index in range(count)]
        images = np.stack([drawn(digit, index, 32) for index, digit in enumerate(digits)], axis=3)
        file = data_dir / "svhn" / f"{part}_32x32.mat"
        scipy.io.savemat(file, {"X": images, "y": np.array([[digit or 10] for digit in digits], np.uint8)})
        splits[part] = [splits[part][0], file.name, _md5(file.read_bytes())]
    monkeypatch.setattr(SVHN, "split_list", splits)


def write_mnist(data_dir: Path, count: int = 30, num_classes: int = 2) -> None:
    """Gray images of 28x28 in the files of MNIST, unpacked."""
    folder = data_dir / "mnist" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, number in (("train", count), ("t10k", count // 2)):
        labels = [index % num_classes for index in range(number)]
        images = np.stack([drawn(label, index, 28, channels=1) for index, label in enumerate(labels)])
        head = np.array([0x803, number, 28, 28], ">i4").tobytes()
        (folder / f"{name}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        content = np.array([0x801, number], ">i4").tobytes() + bytes(labels)
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(content)


def write_gtsrb(data_dir: Path) -> None:
    """Traffic signs of two classes in several sizes, the test images listed in a table."""
    base = data_dir / "gtsrb" / "gtsrb"
    for label in range(2):
        folder = base / "GTSRB" / "Training" / f"{label:05d}"
        folder.mkdir(parents=True)
        for index in range(5):
            Image.fromarray(drawn(label, index, 20 + index)).save(folder / f"{index}.ppm")
    folder = base / "GTSRB" / "Final_Test" / "Images"
    folder.mkdir(parents=True)
    rows = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
    for index in range(4):
        Image.fromarray(drawn(index % 2, 50 + index, 24)).save(folder / f"{index:05d}.ppm")
        rows.append(f"{index:05d}.ppm;24;24;0;0;24;24;{index % 2}")
    (base / "GT-final_test.csv").write_text("\n".join(rows) + "\n")


def write_eurosat(data_dir: Path) -> None:
    """A data set without splits: class folders alone."""
    for label, name in enumerate(("Forest", "River")):
        folder = data_dir / "eurosat" / "eurosat" / "2750" / name
        folder.mkdir(parents=True)
        for index in range(10):
            Image.fromarray(drawn(label, index, 16)).save(folder / f"{name}_{index}.jpg")
