"""A network as a file of ONNX, and what a runtime of ONNX computes with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from claf_engine.terms.errors import CheckpointError, ConfigError, first_line
from claf_engine.terms.installation import install_line

INPUT, OUTPUT = "images", "logits"
EXAMPLES = 2
"""Images of the example that a network is traced with; of one alone, tracing takes it that there is always one."""


def write_onnx(model: nn.Module, shape: tuple[int, int, int], path: Path) -> None:
    """Trace a network by `torch.export` and write it as ONNX, with images of any number.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, K), fp32, on the CPU and in eval mode.
        shape: C, H and W, which are fixed in the file.
        path: of the file; weights of more than 2 GB lie in another beside it.

    Raises:
        ConfigError: onnx or onnxscript is not installed.
        CheckpointError: the network has an operation that ONNX has not.
    """
    try:
        import onnx  # noqa: F401 (asked for before minutes are spent)
        import onnxscript  # noqa: F401
    except ImportError as error:
        lacking = error.name or "a library"
        raise ConfigError(f"ONNX needs {lacking}; get it with {install_line('onnx')}") from error
    example = torch.zeros(EXAMPLES, *shape)
    batch = {0: torch.export.Dim("batch")}
    try:
        program = torch.onnx.export(
            model,
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=(batch,),
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        raise CheckpointError(
            f"the network cannot be written as ONNX ({first_line(error)}); export it as safetensors"
        ) from error
    assert program is not None
    program.save(path)


def open_onnx(path: Path) -> tuple[Callable[[Tensor], Tensor], str]:
    """Open a file of ONNX.

    Returns:
        Images to logits, and what computes them: ONNX Runtime where it is installed, else the slow reference of onnx.
    """
    run, engine = _runtime(path)

    def logits(images: Tensor) -> Tensor:
        return torch.from_numpy(run(None, {INPUT: images.numpy()})[0])

    return logits, engine


def _runtime(path: Path) -> tuple[Callable[..., Any], str]:
    try:
        import onnxruntime
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(str(path)).run, "the reference of onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run, "ONNX Runtime"
