"""The benchmark runner: one JSON line a figure, and an exit status that tells whether every limit was kept."""

import json
import sys
import time
import types

import pytest

import benchmarks
import benchmarks.__main__ as runner
from benchmarks.measure import Result, cpu_ms, median, p95


def broken():
    yield Result("broken", "before it breaks", 1, "ms", 2)
    raise RuntimeError("no canvas")


BENCHMARKS = {
    "good": lambda: [Result("good", "small", 1.23456, "ms", 2), Result("good", "free", 5, "MB")],
    "slow": lambda: [Result("slow", "small", 3, "ms", 2)],
    "broken": broken,
}


@pytest.fixture(autouse=True)
def three_benchmarks(tmp_path, monkeypatch):
    for name, run in BENCHMARKS.items():
        (tmp_path / f"bench_{name}.py").touch()
        module = types.ModuleType(f"benchmarks.bench_{name}")
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)
    (tmp_path / "helper.py").touch()
    monkeypatch.setattr(benchmarks, "__path__", [str(tmp_path)])


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_benchmarks_are_the_modules_named_bench():
    assert runner.available() == ["broken", "good", "slow"]


def test_every_figure_is_one_json_line(capsys):
    assert runner.main(["good"]) == 0
    assert lines(capsys) == [
        {"bench": "good", "case": "small", "value": 1.235, "unit": "ms", "limit": 2, "ok": True},
        {"bench": "good", "case": "free", "value": 5.0, "unit": "MB", "limit": None, "ok": True},
    ]


def test_a_limit_not_kept_gives_exit_status_1(capsys):
    assert runner.main(["slow", "good"]) == 1
    assert [line["ok"] for line in lines(capsys)] == [False, True, True]


def test_a_benchmark_that_breaks_gives_exit_status_1_and_the_others_still_run(capsys):
    assert runner.main(["broken", "good"]) == 1
    out, err = capsys.readouterr()
    assert [json.loads(line)["bench"] for line in out.splitlines()] == ["broken", "good", "good"]
    assert "benchmark broken broke" in err
    assert "no canvas" in err


def test_without_a_name_all_run(capsys):
    runner.main([])
    assert {line["bench"] for line in lines(capsys)} == set(BENCHMARKS)


def test_the_first_words_of_a_name_stand_for_all_that_begin_with_them(tmp_path, capsys):
    for name in ("good_old", "goodness"):
        (tmp_path / f"bench_{name}.py").touch()
    sys.modules["benchmarks.bench_good_old"] = sys.modules["benchmarks.bench_slow"]
    try:
        runner.main(["good", "good_old"])
    finally:
        del sys.modules["benchmarks.bench_good_old"]
    assert [line["bench"] for line in lines(capsys)] == ["good", "good", "slow"]


def test_an_unknown_name_runs_nothing_and_lists_the_known(capsys):
    assert runner.main(["good", "scrubb"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "scrubb" in err
    assert "broken, good, slow" in err


@pytest.mark.parametrize(
    ("value", "sense", "ok"),
    [
        (2.0, "at most", True),
        (2.1, "at most", False),
        (2.1, "at least", True),
        (1.9, "at least", False),
        (float("nan"), "at most", False),
        (float("-inf"), "at most", False),
    ],
)
def test_a_figure_is_judged_against_its_limit(value, sense, ok):
    assert Result("a", "b", value, "ms", 2.0, sense).ok is ok


def test_a_figure_that_is_no_number_is_printed_as_null():
    assert Result("a", "b", float("nan"), "ms").as_json()["value"] is None


def test_steps_are_taken_in_turn_and_warm_up_is_not_counted():
    order = []
    times = cpu_ms(lambda: order.append("a"), lambda: order.append("b"), repeats=3, warmup=1)
    assert order == ["a", "b"] * 4
    assert [len(of_step) for of_step in times] == [3, 3]


def test_the_time_of_a_step_is_cpu_milliseconds():
    def spin():
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass

    ((milliseconds,),) = cpu_ms(spin, repeats=1, warmup=0)
    assert 20 <= milliseconds < 60


def test_percentiles_match_their_definition():
    assert median([3, 1, 2]) == 2
    assert p95(range(101)) == 95
