"""`make bench` runs every benchmark there is, and only those."""

from bench.__main__ import benchmarks


def test_every_module_that_measures_is_found() -> None:
    names = [benchmark.__name__ for benchmark in benchmarks()]
    assert names == sorted(names)
    assert {"bench.hot_event", "bench.seating", "bench.webhooks"} <= set(names)
    assert not {"bench.measure", "bench.seating_proof", "bench.bot_server"} & set(names)
