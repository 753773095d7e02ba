import pytest
from celery import current_app

from sms import nudges


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(current_app, "send_task", names.append)
    return names


def test_nudges_that_belong_together_are_one(sent: list[str]):
    with nudges.one_to_send():
        nudges.send()
        nudges.send()
        assert sent == []
    assert sent == ["sms.tasks.send"]

    nudges.send()
    assert sent == ["sms.tasks.send"] * 2


def test_where_nothing_is_to_be_sent_nobody_is_woken(sent: list[str]):
    with nudges.one_to_send():
        pass

    assert sent == []


def test_what_was_committed_before_something_broke_is_sent(sent: list[str]):
    def commits_and_breaks() -> None:
        with nudges.one_to_send():
            nudges.send()
            raise LookupError

    with pytest.raises(LookupError):
        commits_and_breaks()

    assert sent == ["sms.tasks.send"]
