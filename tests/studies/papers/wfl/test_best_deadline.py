"""The study of the best deadline: its experiments, its models and its claims."""

from studies.papers.wfl import best_deadline as study
from studies.report.results import Sample, Table

LABELS = list(study.experiments("small"))
SECONDS = [0.5, 0.4, 0.42, 0.5, 0.6, 0.8]


def table_of(**changes):
    """A table in which every claim holds, with the columns `changes` put in."""
    columns = {
        "rounds_to": [77.0, 44.0, 32.0, 28.0, 24.0, 23.0],
        **dict.fromkeys(study.SECONDS.values(), SECONDS),
        "power_seconds": [0.3, 0.22, 0.21, 0.25, 0.3, 0.4],
        "bound_seconds": [0.3, 0.21, 0.22, 0.25, 0.3, 0.4],
    } | changes
    return Table(
        tuple(
            {
                "deadline": label,
                **{
                    name: Sample((values[row], values[row] * 1.001, values[row]))
                    for name, values in columns.items()
                },
            }
            for row, label in enumerate(LABELS)
        )
    )


def verdicts(table):
    return [claim.check(table).holds for claim in study.CLAIMS]


def test_runs_differ_in_the_deadline_alone_and_last_equally_long():
    for scale in ("small", "paper"):
        for seeds in study.experiments(scale).values():
            assert [one.run.seed for one in seeds] == list(study.SEEDS)
            planned_s = seeds[0].run.rounds * seeds[0].scenario.deadline_s
            assert abs(planned_s - study.TOTAL_S[scale]) < seeds[0].scenario.deadline_s


def test_the_expected_table_keeps_every_claim():
    assert all(verdicts(table_of()))


def test_every_claim_can_fail():
    shortest, longest = [0.1, *SECONDS[1:]], [*SECONDS[:-1], 0.1]
    wrong = [0.1, 0.3, 0.3, 0.3, 0.3, 0.3]
    paper = [0.5, 0.4, 0.42, 0.5, 0.4 - 1e-3, 0.8]
    early, late = study.SECONDS.values()
    failing = [
        {"power_seconds": wrong},
        {"bound_seconds": wrong[::-1]},
        {"power_seconds": wrong},
        {"bound_seconds": wrong[::-1]},
        {early: shortest},
        {late: longest},
        {"rounds_to": [20.0, 30.0, 30.0, 30.0, 30.0, 30.0]},
        {early: paper},
        {late: paper},
    ]
    assert len(failing) == len(study.CLAIMS)
    for index, changes in enumerate(failing):
        assert not verdicts(table_of(**changes))[index], study.CLAIMS[index].text
