"""A bounded memory of arrays: what was not asked for the longest goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any

from numpy.typing import NDArray


class ArrayCache:
    """Arrays by key, at most `limit` bytes in all; safe to use from several threads.

    Parameters
    ----------
    limit : int
        Bytes kept. An array larger than this is handed out and not kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.nbytes = 0
        self._arrays: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._arrays)

    def get(self, key: Hashable, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The array of `key`, made when it is not here; it is read-only. Two threads may make it at once."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
        array = make()
        array.setflags(write=False)
        with self._lock:
            if key not in self._arrays and array.nbytes <= self.limit:
                self._arrays[key] = array
                self.nbytes += array.nbytes
                while self.nbytes > self.limit:
                    self.nbytes -= self._arrays.popitem(last=False)[1].nbytes
        return array

    def drop(self, keep: Callable[[Any], bool]) -> None:
        """Forget every array whose key `keep` is not true of."""
        with self._lock:
            for key in [key for key in self._arrays if not keep(key)]:
                self.nbytes -= self._arrays.pop(key).nbytes
