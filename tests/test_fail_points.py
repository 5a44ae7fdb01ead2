"""A process that is killed at any of its fail points leaves a run that another one brings to the same end."""

import shutil
import zlib
from pathlib import Path

import pytest
from killable import Server
from pipeline_scenarios import DEOPTS, FIRST, scenario_of
from postgres_server import fresh_database
from scenario_tools import Ledger
from test_scenarios import run_whole
from what_matters import assert_nothing_ran_twice, effects, same_but_for_doubt, what_matters

from agentkit.ids import new_id
from agentkit.testing import FailPoints, all_fail_points

DEFAULT_SEEDS = [*(seed for seed in range(22) if seed not in {3, 7}), *range(FIRST, FIRST + 3), DEOPTS + 5]
MORE_SEEDS = [
    *(3, 7),  # of the first ones those that take longest
    *range(22, 200),
    *range(FIRST + 3, FIRST + 40),
    *range(DEOPTS, DEOPTS + 5),
    *range(DEOPTS + 6, DEOPTS + 19),
]
TEAM_SEEDS = [28]
MORE_TEAM_SEEDS = [4, *range(0, 28, 7), 35, FIRST, FIRST + 3, FIRST + 6, DEOPTS + 5, DEOPTS + 18]


@pytest.fixture(scope="module")
def server():
    """What forks the processes that are killed."""
    server = Server()
    yield server
    server.close()


class Expected:
    """How a scenario ends where nobody is killed."""

    def __init__(self, seed: int) -> None:
        scenario = scenario_of(seed)
        store, run_id = run_whole(scenario)
        self.matters, self.effects = what_matters(store, run_id), effects(scenario.ledger)

    def check(self, found: dict) -> None:
        """Assert that a run ended so, and that nothing happened twice on the way."""
        ledger = Ledger(found["ledger"])
        same_but_for_doubt(found["matters"], self.matters)
        assert effects(ledger) == self.effects
        assert_nothing_ran_twice(ledger)
        assert not found["asked_again"], "the model was asked again for a recorded answer"


def kills(reached: dict[str, int], seed: int) -> list[tuple[str, int]]:
    """Each point that was reached, at its first time and at a later one."""
    found = [(name, 1) for name in sorted(reached)]
    for name in sorted(reached):
        if reached[name] > 1:
            found.append((name, 2 + zlib.crc32(f"{name} {seed}".encode()) % (reached[name] - 1)))
    return found


def kill_everywhere(server: Server, seed: int, folder: Path, log: str | None = None) -> int:
    """Kill a scenario at every point it reaches, every third time its successor too; returns how often.

    Its log is in the folder, or where a URL says.
    """
    expected = Expected(seed)
    folder.mkdir()
    whole = server.run(seed, folder, new_id(), log=log)
    assert whole is not None
    expected.check(whole)
    planned = kills(whole["reached"], seed)
    for number, (name, nth) in enumerate(planned):
        shutil.rmtree(folder)
        folder.mkdir()
        run_id = new_id()
        try:
            found = server.run(seed, folder, run_id, at=name, nth=nth, log=log)
            assert found is None or nth > 1 or name not in all_fail_points(), "it was not killed"
            if found is None and number % 3 == 0:
                found = server.run(seed, folder, run_id, at=second(number), log=log)
            expected.check(found or server.run(seed, folder, run_id, log=log))
        except BaseException as error:
            error.add_note(f"seed {seed}, killed at {name}, time {nth}, number {number}")
            raise
    return len(planned)


def second(number: int) -> str:
    """Where the process that goes on is killed, too."""
    points = all_fail_points()
    return points[number % len(points)]


def test_the_scenarios_reach_every_fail_point():
    """None of the runner's points is out of reach of the scenarios that are killed."""
    with FailPoints() as points:
        for seed in DEFAULT_SEEDS:
            run_whole(scenario_of(seed))
    assert set(all_fail_points()) - set(points.reached) == set()


@pytest.mark.parametrize("seed", DEFAULT_SEEDS)
def test_a_process_killed_at_any_fail_point_loses_and_repeats_nothing(server, tmp_path, seed):
    """SIGKILL at each point the scenario reaches, the runner's and the log's, at the first and at a later time."""
    assert kill_everywhere(server, seed, tmp_path / "killed") >= 10


@pytest.mark.parametrize(
    "seed", [*TEAM_SEEDS, *(pytest.param(seed, marks=pytest.mark.slow) for seed in MORE_TEAM_SEEDS)]
)
def test_so_in_a_log_in_postgresql(server, postgres, tmp_path, seed):
    """A team's log loses and repeats nothing either; the next process takes the run up at once."""
    assert kill_everywhere(server, seed, tmp_path / "killed", fresh_database(postgres)) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", MORE_SEEDS)
def test_so_in_all_scenarios(server, tmp_path, seed):
    """The same for the rest of the 200 agents and 100 pipelines."""
    assert kill_everywhere(server, seed, tmp_path / "killed") >= 10
