"""Real files with bytes turned, cut off or repeated: read or refused with a sentence, quickly, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.test_hammer import check, hammer

SEEDS = range(6)


@pytest.mark.parametrize("folder", ["wsi", "annotations", "features", "splits", "checkpoints"])
def test_mutated_real_files_are_read_or_refused_with_a_sentence(real_data: Path, tmp_path: Path, folder: str) -> None:
    sources = [path for path in sorted((real_data / folder).rglob("*")) if path.is_file()]
    files = [
        mutated(source, tmp_path / str(number) / str(seed), seed)
        for number, source in enumerate(sources)
        for seed in SEEDS
    ]
    check(hammer([*sources, *files]))
