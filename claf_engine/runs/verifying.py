"""Whether the tensors of a checkpoint are those that it was written with, by its two hashes. No torch.

The hashes are those of `claf_engine.models.hashing` and `claf_engine.training.checkpoint`, taken over the file's bytes.
"""

import hashlib
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from claf_engine.events.ticks import Pulse
from claf_engine.runs.header import NETWORK
from claf_engine.runs.tensor_bytes import StoredTensor, open_tensors

WEIGHTS, WHOLE = "claf.weights_sha256", "claf.sha256"
"""Keys of the hash of the network alone, and of that of all tensors and metadata."""
TORCH_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


@dataclass(frozen=True)
class Comparison:
    """A hash as the header states it and as the bytes give it; nothing is stated in a file of another writer."""

    stated: str
    found: str

    @property
    def agrees(self) -> bool:
        """Whether both are the same."""
        return self.stated == self.found


@dataclass(frozen=True)
class Verification:
    """What the hashes of a checkpoint say.

    Attributes:
        weights: of the network alone.
        whole: of all tensors and all metadata.
        num_bytes: of the tensors.
    """

    weights: Comparison
    whole: Comparison
    num_bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing was altered or damaged."""
        return self.weights.agrees and self.whole.agrees


def verify_steps(path: Path) -> Generator[Pulse, None, Verification]:
    """Hash a checkpoint anew and compare; a pulse comes after every MiB.

    Raises:
        CheckpointError: it cannot be read.
    """
    network, everything = hashlib.sha256(), hashlib.sha256()
    with open_tensors(path) as file:
        total, done = sum(tensor.num_bytes for tensor in file.tensors.values()), 0
        for name, tensor in file.tensors.items():
            digests = [everything]
            everything.update(_described(name, tensor))
            if name.startswith(NETWORK):
                network.update(_described(name.removeprefix(NETWORK), tensor))
                digests.append(network)
            for piece in file.pieces(name):
                for digest in digests:
                    digest.update(piece)
                done += len(piece)
                yield Pulse("hashing", done, total)
        rest = {key: value for key, value in file.metadata.items() if key != WHOLE}
        plain = json.dumps(sorted(rest.items())).encode()
        found = hashlib.sha256(everything.hexdigest().encode() + plain).hexdigest()
        return Verification(
            Comparison(_stated(file.metadata, WEIGHTS), network.hexdigest()),
            Comparison(_stated(file.metadata, WHOLE), found),
            total,
        )


def _described(name: str, tensor: StoredTensor) -> bytes:
    torch_name = TORCH_NAMES.get(tensor.dtype, tensor.dtype.lower())
    return repr((name, f"torch.{torch_name}", tensor.shape)).encode()


def _stated(metadata: Mapping[str, str], key: str) -> str:
    try:
        return str(json.loads(metadata.get(key, '""')))
    except ValueError:
        return ""
