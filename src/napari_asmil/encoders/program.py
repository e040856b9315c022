"""An exported program (``.pt2``, written by `torch.export.save`), run operator by operator.

`torch.export.load` is not used: torch 2.13 unpickles whatever the archive marks as pickled (weights, constants, example
inputs), evaluates its symbolic shapes as Python, and turns its names into source code. Here only JSON and raw numbers
are read, and only operators of ATen that are named in `operators` are called, so that a stranger's file can run
nothing else.

Format: a zip archive of stored entries, schema 8 (torch 2.8 to 2.13 at least): ``models/model.json`` is the graph in
order of execution, ``data/weights`` and ``data/constants`` hold raw little-endian numbers and a JSON that names them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_asmil.encoders.archive import DTYPES, Archive, refused
from napari_asmil.encoders.operators import operator as operator_of
from napari_asmil.errors import InputError

SCHEMA = 8
ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")
OF_NUMBERS: dict[str, Callable[..., Any]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in ("add", "sub", "mul", "floordiv", "mod", "neg")},
    **{f"_operator.{name}": getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge", "and_", "or_")},
    "torch.sym_max": max,
    "torch.sym_min": min,
}
LARGEST = 2**62
"""No size in a program is larger."""
MEMORY = {1: torch.contiguous_format, 2: torch.channels_last, 4: torch.preserve_format}


class Program:
    """A graph from one tensor to one tensor.

    Parameters
    ----------
    path : Path
        The archive.
    device : torch.device
        Where it runs.

    Attributes
    ----------
    input_shape : tuple of (int or None)
        Of the one tensor it takes; None where any number will do.

    Raises
    ------
    InputError
        When the file is no such archive, or holds what would have to be unpickled, compiled code, or operators that are
        not called.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        self._path, self._device = path, device
        try:
            with Archive(path) as archive:
                graph_module = archive.json("models/model.json", check=_check_version)["graph_module"]
                self._take(graph_module, archive)
        except InputError:
            raise
        except Exception as error:  # a damaged archive makes its readers say anything
            reason = " ".join(str(error).split())[:120]
            raise refused(path, f"it is no exported program, or damaged ({type(error).__name__}: {reason})") from error

    def _take(self, graph_module: dict[str, Any], archive: Archive) -> None:
        graph, signature = graph_module["graph"], graph_module["signature"]
        weights, constants = archive.tensors("weights"), archive.tensors("constants")
        self._values: dict[str, Any] = {}
        inputs = []
        for spec in signature["input_specs"]:
            ((kind, what),) = spec.items()
            if kind == "user_input":
                inputs.append(what["arg"]["as_tensor"]["name"])
            elif kind in ("parameter", "buffer", "tensor_constant"):
                name = what[f"{kind}_name"]
                found = weights[name] if name in weights else constants[name]
                self._values[what["arg"]["name"]] = found.to(self._device)
            else:
                raise refused(self._path, f"it takes an input of the kind {kind}")
        outputs = [what for spec in signature["output_specs"] for what in spec.items()]
        if len(inputs) != 1 or len(outputs) != 1:
            raise refused(self._path, f"it makes {len(outputs)} tensors of {len(inputs)}, not one of one")
        kind, what = outputs[0]
        if kind != "user_output":
            raise refused(self._path, "it changes its own buffers", "Export the model in evaluation mode (eval()).")
        self._input, self._output = inputs[0], what["arg"]["as_tensor"]["name"]
        sizes = graph["tensor_values"][self._input]["sizes"]
        self.input_shape = tuple(size.get("as_int") for size in sizes)
        self._steps = [self._step(node) for node in graph["nodes"]]
        self._last = {name: number for number, (_, args, _) in enumerate(self._steps) for name in _names_in(args)}

    def _step(self, node: dict[str, Any]) -> tuple[Callable[..., Any], list[dict[str, Any]], list[dict[str, Any]]]:
        target = str(node["target"])
        called = ATEN.fullmatch(target)
        if called is None:
            if target not in OF_NUMBERS:
                raise refused(self._path, f"it calls {target[:80]}, and only operators of ATen are called")
            return (
                _of_numbers(OF_NUMBERS[target]),
                [{**given, "name": None} for given in node["inputs"]],
                node["outputs"],
            )
        if any(given["name"] in ("training", "train") and given["arg"].get("as_bool") for given in node["inputs"]):
            raise refused(self._path, "it was exported while training", "Export the model after model.eval().")
        try:
            found = operator_of(*called.groups())
        except AttributeError:
            raise refused(
                self._path, f"this torch has no operator {target[:80]}", "Export it with this torch."
            ) from None
        if found is None:
            raise refused(self._path, f"it calls {target[:80]}, which is none of the operators that are called")
        return found, node["inputs"], node["outputs"]

    def __call__(self, given: Tensor) -> Tensor:
        """What the program makes of a tensor.

        Raises
        ------
        InputError
            When an operator refuses what it is given.
        """
        values = {**self._values, self._input: given}
        for number, (call, inputs, outputs) in enumerate(self._steps):
            try:
                places = [self._value(arg["arg"], values) for arg in inputs if arg["name"] is None]
                named = {arg["name"]: self._value(arg["arg"], values) for arg in inputs if arg["name"] is not None}
                made = call(*places, **named)
                _bind(outputs, made, values)
            except torch.cuda.OutOfMemoryError:
                raise
            except Exception as error:  # operators raise what they like
                reason = " ".join(str(error).split())[:120] or type(error).__name__
                raise refused(self._path, f"step {number + 1} of it fails on this input ({reason})") from error
            for name in _names_in(inputs):
                if self._last[name] == number and name != self._output and name not in self._values:
                    values.pop(name, None)
        found = values.get(self._output)
        if not isinstance(found, Tensor):
            raise refused(self._path, "what it makes is no tensor")
        return found

    def _value(self, arg: dict[str, Any], values: dict[str, Any]) -> Any:
        ((kind, what),) = arg.items()
        match kind:
            case "as_tensor":
                return values[what["name"]]
            case "as_tensors":
                return [values[one["name"]] for one in what]
            case "as_optional_tensors":
                return [self._value(one, values) for one in what]
            case "as_none":
                return None
            case "as_float":
                return float(what)  # infinity is written as a word
            case "as_floats":
                return [float(one) for one in what]
            case "as_int" | "as_bool" | "as_string" | "as_ints" | "as_bools":
                return what
            case "as_sym_int" | "as_sym_bool" | "as_sym_float":
                return _number(what, values)
            case "as_sym_ints" | "as_sym_bools" | "as_sym_floats":
                return [_number(one, values) for one in what]
            case "as_scalar_type":
                return DTYPES[what]
            case "as_memory_format":
                return MEMORY[what]
            case "as_device":
                return self._device
            case "as_layout":
                return torch.strided
        raise TypeError(f"an argument of the kind {kind}")


def _of_numbers(call: Callable[..., Any]) -> Callable[..., Any]:
    """An operator on sizes alone: of anything else, or of numbers of any length, it could fill the memory."""

    def bounded(*args: Any) -> Any:
        if not all(isinstance(one, int | float) for one in args):
            raise TypeError("a number is asked for, and something else is there")
        found = call(*args)
        if abs(found) > LARGEST:
            raise ValueError("a size is too large")
        return found

    return bounded


def _check_version(content: dict[str, Any]) -> str:
    """Why a program of that version is not run; "" where it is."""
    major = content["schema_version"]["major"]
    made = f" by torch {content['torch_version']}" if "torch_version" in content else ""
    return "" if major == SCHEMA else f"it is written in schema {major}{made}, and schema {SCHEMA} is read"


def _number(what: dict[str, Any], values: dict[str, Any]) -> Any:
    return values[what["as_name"]] if "as_name" in what else next(iter(what.values()))


def _names_in(args: list[dict[str, Any]]) -> Iterator[str]:
    """Names of values among arguments."""
    for given in args:
        for what in given["arg"].values():
            for one in what if isinstance(what, list) else [what]:
                if isinstance(one, dict):
                    one = next(iter(one.values())) if "as_tensor" in one else one
                    name = one.get("name", one.get("as_name"))
                    if name is not None:
                        yield name


def _bind(outputs: list[dict[str, Any]], made: Any, values: dict[str, Any]) -> None:
    """Give names to what an operator made."""
    results = [made] if len(outputs) == 1 else list(made)
    for output, result in zip(outputs, results, strict=True):
        ((kind, what),) = output.items()
        if kind == "as_tensors":
            values.update(zip((one["name"] for one in what), result, strict=True))
        elif kind != "as_none" and isinstance(what, dict):
            name = what.get("name", what.get("as_name"))
            if name is not None:
                values[name] = result
