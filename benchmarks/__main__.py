"""Run benchmarks and print one JSON line a figure: `python -m benchmarks [NAME...]`.

A benchmark is a module `benchmarks/bench_NAME.py` with a function `run() -> Iterator[Result]`. The first words of a
name stand for all that begin with them: `viewer` for `viewer_steps`, `viewer_canvas` and so on.
Exit status: 0 when every figure keeps its limit, 1 when one does not or a benchmark breaks, 2 for an unknown name.
"""

import importlib
import json
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from itertools import chain

import benchmarks
from benchmarks.measure import Result

PREFIX = "bench_"


def available() -> list[str]:
    """Return the names of the benchmarks, sorted."""
    modules = (module.name for module in pkgutil.iter_modules(benchmarks.__path__))
    return sorted(name.removeprefix(PREFIX) for name in modules if name.startswith(PREFIX))


def results(name: str) -> Iterator[Result]:
    """Run the benchmark of that name."""
    yield from importlib.import_module(f"benchmarks.{PREFIX}{name}").run()


def report(name: str) -> bool:
    """Print the figures of one benchmark as they come; return whether it ran to its end and kept every limit."""
    kept = True
    try:
        for result in results(name):
            print(json.dumps(result.as_json()), flush=True)
            kept = kept and result.ok
    except Exception:  # noqa: BLE001 a broken benchmark must not take the others along
        print(f"benchmark {name} broke:", file=sys.stderr)
        traceback.print_exc()
        return False
    return kept


def main(names: Sequence[str]) -> int:
    """Run the named benchmarks, or all, and return the exit status."""
    known = available()
    meant = {name: [one for one in known if one == name or one.startswith(f"{name}_")] for name in names}
    unknown = [name for name, found in meant.items() if not found]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    wanted = dict.fromkeys(chain.from_iterable(meant.values())) if names else known
    kept = [report(name) for name in wanted]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
