"""One hash for equal tensors."""

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def hash_tensors(tensors: Mapping[str, Tensor], begun: "hashlib._Hash | None" = None) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in the order of the names.

    Args:
        tensors: by name.
        begun: a digest that goes on with them, of tensors whose names come before theirs.
    """
    digest = hashlib.sha256() if begun is None else begun
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        begin_tensor(digest, name, tensor.dtype, tensor.shape)
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def begin_tensor(digest: "hashlib._Hash", name: str, dtype: torch.dtype, shape: Sequence[int]) -> None:
    """Enter a tensor into a digest whose bytes, in its order, follow."""
    digest.update(repr((name, str(dtype), tuple(shape))).encode())
