"""forget_untold: notes of ended jobs of workflows."""

from taskora.wire import ForgetUntold
from tests.transitions.keyspace import NOW, RawTask, Scores


def test_notes_are_crossed_out_once(task: RawTask) -> None:
    task.seed({"workflow:untold": Scores({"j1": NOW, "j2": NOW})})
    assert task.run(ForgetUntold(task="t", job_ids=["j1", "j9"])) == 1
    assert task.dump() == {"workflow:untold": Scores({"j2": NOW})}
    assert task.run(ForgetUntold(task="t", job_ids=["j1", "j2"])) == 1
    assert task.dump() == {}
