"""A torch network as an encoder: resizing, normalising, batches, and the precision that is fastest here."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from napari_asmil.errors import InputError

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of red, green and blue, of pictures scaled to [0, 1]."""
CPU_PIXELS, GPU_PIXELS = 8 * 224**2, 128 * 224**2
"""Pixels that go through a network at once; more is no faster on a CPU."""
GAIN = 1.2
"""Bfloat16 is used where it is so many times faster than float32."""
WAYS = (
    ("float32", False, torch.contiguous_format),
    ("float32, channels last", False, torch.channels_last),
    ("bfloat16, channels last", True, torch.channels_last),
)
"""Ways to compute: words, whether in bfloat16, and the order of numbers in memory."""
TURNS, LONG = 4, 5.0
"""How often each way is timed, and the seconds after which two turns are enough."""


class TorchEncoder:
    """A network that maps normalised pictures float32 (N, 3, s, s) to features (N, D).

    Parameters
    ----------
    network : Module or callable
        In evaluation mode, on `device`.
    name, mpp, licence
        See `Encoder`.
    size : int
        Edge in px of what the network sees; tiles of another edge are resampled, antialiased.
    mean, std : sequence of 3 float
        What pictures scaled to [0, 1] are normalised with.
    device : torch.device
        Where it computes.
    batch : int, optional
        The only number of pictures the network takes.

    Attributes
    ----------
    precision : str
        float32 or bfloat16, as it computes.

    Raises
    ------
    InputError
        When the network does not make one row of numbers a picture.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        *,
        name: str,
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        mpp: float | None = None,
        licence: str = "",
        batch: int | None = None,
    ) -> None:
        self.name, self.tile_px, self.mpp, self.licence = name, size, mpp, licence
        self._network, self._device, self._fixed = network, device, batch
        self._mean, self._std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (mean, std))
        self.batch = batch or max(1, (CPU_PIXELS if device.type == "cpu" else GPU_PIXELS) // size**2)
        self._half, self._format = False, torch.contiguous_format
        try:
            self.dim = int(self._try().shape[1])
        except torch.cuda.OutOfMemoryError as error:
            raise self._no_room() from error
        except InputError:
            raise
        except (RuntimeError, ValueError, TypeError) as error:
            raise self._failing(error) from error
        self._seconds_of = self._timed(network) if isinstance(network, nn.Module) else []
        self.how, self.precision = f"{device}, float32", "float32"
        if self._seconds_of:
            self._take_up(min(range(len(WAYS)), key=self._seconds_of.__getitem__))

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features float32 (N, D) of RGB tiles uint8 (N, s, s, 3) of any edge.

        Raises
        ------
        InputError
            When the device has no room for a single tile.
        """
        found = np.empty((len(tiles), self.dim), dtype=np.float32)
        start = 0
        while start < len(tiles):
            part = slice(start, start + self.batch)
            try:
                found[part] = self._encode(tiles[part])
            except torch.cuda.OutOfMemoryError as error:
                if self._fixed or self.batch == 1:
                    raise self._no_room() from error
                self.batch //= 2
            except InputError:
                raise
            except (RuntimeError, ValueError, TypeError) as error:
                raise self._failing(error) from error
            else:
                start = part.stop
        return found

    def _no_room(self) -> InputError:
        return InputError(
            f"The device {self._device} has no room for the encoder {self.name}.",
            remedy="Choose another (--device cpu).",
        )

    def _failing(self, error: Exception) -> InputError:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        return InputError(
            f"The encoder {self.name} fails on pictures of {self.tile_px} px ({reason}).",
            remedy="Use a network that makes as many features of any number of pictures.",
        )

    def compute_in(self, precision: str) -> None:
        """Compute in float32 or bfloat16, whichever is faster here, in the fastest way to do that."""
        ways = [number for number, (words, _, _) in enumerate(WAYS) if words.startswith(precision)]
        if self._seconds_of and ways:
            self._take_up(min(ways, key=self._seconds_of.__getitem__))

    def _encode(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        given = torch.from_numpy(np.ascontiguousarray(tiles)).to(self._device).permute(0, 3, 1, 2).float() / 255
        if given.shape[2:] != (self.tile_px, self.tile_px):
            given = interpolate(
                given, size=(self.tile_px, self.tile_px), mode="bilinear", antialias=True, align_corners=False
            )
        if self._fixed is not None and len(given) < self._fixed:
            given = torch.cat([given, given[-1:].expand(self._fixed - len(given), -1, -1, -1)])
        pictures = ((given - self._mean) / self._std).contiguous(memory_format=self._format)
        with torch.inference_mode(), self._precision():
            made = self._network(pictures)
        if made.shape != (len(pictures), self.dim):
            raise ValueError(f"it makes {tuple(made.shape)} of {len(pictures)} pictures, not {self.dim} features each")
        return made[: len(tiles)].float().cpu().numpy().astype(np.float32, copy=False)

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self._device.type, torch.bfloat16) if self._half else nullcontext()

    def _try(self, count: int = 1) -> Tensor:
        """What the network makes of a grey picture."""
        grey = torch.zeros((self._fixed or count, 3, self.tile_px, self.tile_px), device=self._device)
        with torch.inference_mode(), self._precision():
            made = self._network(grey.contiguous(memory_format=self._format))
        if not isinstance(made, Tensor) or made.ndim != 2 or len(made) != len(grey) or not made.is_floating_point():
            shape = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise InputError(
                f"The encoder {self.name} makes {shape} of pictures {tuple(grey.shape)}, not one row of numbers each.",
                remedy="Use a network that ends in pooled features.",
            )
        return made

    def _timed(self, network: nn.Module) -> list[float]:
        """Seconds that each way takes for two pictures, by turns; those of bfloat16 count more."""
        self._module = network
        seconds = [float("inf")] * len(WAYS)
        began = time.monotonic()
        for turn in range(TURNS):
            for number, (_, half, _) in enumerate(WAYS):
                self._take_up(number)
                taken = self._seconds() * (GAIN if half else 1)
                seconds[number] = min(seconds[number], taken) if turn else float("inf")  # the first turn warms up
            if turn and time.monotonic() - began > LONG:
                break
        return seconds

    def _take_up(self, way: int) -> None:
        words, self._half, self._format = WAYS[way]
        self._module.to(memory_format=self._format)  # type: ignore[call-overload]
        self.how, self.precision = f"{self._device}, {words}", words.partition(",")[0]

    def _seconds(self) -> float:
        """Of one batch of two, on one thread of a CPU, so that whatever else is at work there does not count."""
        clock = time.thread_time if self._device.type == "cpu" else time.perf_counter
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            began = clock()
            self._try(2).sum().item()
            return clock() - began
        except RuntimeError:  # this device cannot compute so
            return float("inf")
        finally:
            torch.set_num_threads(threads)


def digest(state: Mapping[str, Tensor]) -> str:
    """Twelve characters that change with any name, shape or number of a state_dict."""
    found = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if tensor.numel():
            found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()[:12]
