"""The queue is the same for everybody who draws it, and as mixed as it says."""

from __future__ import annotations

from collections import Counter

from benchmarks.workload import SAMPLERS, Mix, mixed_queue, spread, work

MIX = Mix("any", 64)


def test_one_seed_gives_one_queue() -> None:
    assert mixed_queue(MIX, 32, 7) == mixed_queue(MIX, 32, 7)
    assert mixed_queue(MIX, 32, 7) != mixed_queue(MIX, 32, 8)


def test_queues_of_all_seeds_are_dealt_from_the_same_cards() -> None:
    def cards(seed: int) -> list[list[object]]:
        requests = [arrival.request for arrival in mixed_queue(MIX, 32, seed)]
        names = ("num_inference_steps", "guidance_scale", "scheduler")
        return [sorted(getattr(request, name) for request in requests) for name in names]

    assert cards(1) == cards(2)
    steps, guidance, samplers = cards(1)
    assert (steps[0], steps[-1]) == (12, 40)
    assert (guidance[0], guidance[-1]) == (1.0, 9.0)
    assert set(Counter(samplers)) == set(SAMPLERS)


def test_some_jobs_are_short_and_most_are_not() -> None:
    queue = mixed_queue(MIX, 32, 0)
    short = [arrival.request.num_inference_steps for arrival in queue if arrival.short]
    long = [arrival.request.num_inference_steps for arrival in queue if not arrival.short]
    assert 4 <= len(short) < len(long)
    assert max(short) < min(long)


def test_jobs_arrive_in_order_within_the_time() -> None:
    times = [arrival.at for arrival in spread(mixed_queue(MIX, 32, 0), 10.0)]
    assert times == sorted(times)
    assert times[0] == 0.0
    assert 5.0 < times[-1] < 10.0


def test_no_prompt_or_seed_is_asked_for_twice() -> None:
    requests = [arrival.request for arrival in mixed_queue(MIX, 32, 0)]
    seeds = {request.seed_of(index) for request in requests for index in range(4)}
    assert len({request.prompt for request in requests}) == 32
    assert len(seeds) == 128


def test_work_counts_both_sides_of_guidance() -> None:
    assert work(MIX.request(0, 10)) == 80
    assert work(MIX.request(0, 10, guidance=1.0)) == 40
