"""The network of a checkpoint as a file of its own, for other programs: no optimisers, no random streams. No torch."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from claf_engine.config.sources import published_source
from claf_engine.runs.durable import FolderNotFlushed, write_parts_atomically
from claf_engine.runs.foreign import parse_json
from claf_engine.runs.header import NETWORK
from claf_engine.runs.tensor_bytes import METADATA, TensorFile, open_tensors
from claf_engine.terms.errors import CheckpointError

TOLD = ("run", "step", "classifier", "class_names", "config", "weights_sha256")
"""What the exported file says of itself, of the checkpoint's metadata."""
CONFIG = "claf.config"
ALIGNMENT = 8


def export_network(checkpoint: Path, target: Path) -> int:
    """Copy the tensors of a network, under the names of its state dict, into a safetensors file that is not there yet.

    Returns:
        The size of the new file in bytes.

    Raises:
        CheckpointError: the checkpoint cannot be read or holds no network; there is a file already, or it cannot be
            written.
    """
    if os.path.lexists(target):
        raise CheckpointError(f"{target} is there already; name a file that is not")
    with open_tensors(checkpoint) as file:
        names = [name for name in file.tensors if name.startswith(NETWORK)]
        if not names:
            raise CheckpointError(f"{checkpoint} holds no network; choose a checkpoint of a run")
        try:
            write_parts_atomically(target, _parts(file, names))
        except FolderNotFlushed:
            pass  # The file is whole in its place; a crash of the machine might undo that, and it can be made again.
        except OSError as error:
            raise CheckpointError(f"cannot write {target}: {error.strerror}; name another file") from error
    return target.stat().st_size


def _parts(file: TensorFile, names: list[str]) -> Iterator[bytes]:
    """The new file from its beginning to its end."""
    told = {f"claf.{key}": value for key in TOLD if (value := file.metadata.get(f"claf.{key}")) is not None}
    if CONFIG in told:
        told[CONFIG] = _without_path(told[CONFIG])
    header: dict[str, object] = {METADATA: {"format": "pt", **told}}
    end = 0
    for name in names:
        tensor = file.tensors[name]
        begin, end = end, end + tensor.num_bytes
        place = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [begin, end]}
        header[name.removeprefix(NETWORK)] = place
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    yield len(text).to_bytes(8, "little") + text
    for name in names:
        yield from file.pieces(name)


def _without_path(config: str) -> str:
    """The settings without the paths of images and weights, nobody else's affair; damaged ones as they are."""
    try:
        settings = parse_json(config)
        settings["data"]["source"] = published_source(settings["data"]["source"])
        if settings["model"].get("weights") is not None:
            settings["model"]["weights"] = os.path.basename(settings["model"]["weights"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return config
    return json.dumps(settings)
