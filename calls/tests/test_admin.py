from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.factories import operator_client
from calls import services
from calls.factories import (
    CallEventFactory,
    CallFactory,
    DialAttemptFactory,
    MediaTicketFactory,
    TransferFactory,
    TurnFactory,
)
from calls.models import Aftercare
from sms.factories import ThreadFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    return operator_client()


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_list_shows_each_call_in_few_queries(staff: Client, django_assert_max_num_queries: Any):
    for _ in range(8):
        CallFactory.create(over=True, avg_latency_ms=480)
    url = reverse("admin:calls_call_changelist")
    page(staff, url)

    with django_assert_max_num_queries(14):
        html = page(staff, url)

    assert html.count("480 ms") == 8
    assert html.count("0:37") == 8


def test_a_call_is_found_by_its_id_and_by_a_number(staff: Client):
    call = CallFactory.create(to_number="+447386111111")
    other = CallFactory.create(to_number="+447386222222")
    url = reverse("admin:calls_call_changelist")

    for wanted in (call.call_id, "7386111111"):
        html = page(staff, f"{url}?q={wanted}")
        assert call.call_id in html
        assert other.call_id not in html


def test_a_calls_page_reads_as_a_conversation(staff: Client):
    call = CallFactory.create(over=True, recording_file="x.wav", error_message="Odd <end>.")
    TurnFactory.create(call=call, sequence=0, started_ms=61_000, text="Hello there, may I")
    TurnFactory.create(
        call=call,
        sequence=1,
        role="caller",
        text="<script>alert(1)</script>",
        latency_ms=None,
    )
    TurnFactory.create(
        call=call,
        sequence=2,
        text="We open",
        full_text="We open at nine.",
        interrupted=True,
        latency_ms=512,
        timings={"endpoint_ms": 201},
    )
    services.record(call, "barge-in", clause=3)

    html = page(staff, reverse("admin:calls_call_change", args=[call.pk]))

    assert "Hello there, may I" in html
    assert "1:01" in html
    assert "<script>alert(1)" not in html
    assert "answered in 512 ms" in html
    assert "endpoint 201 ms" in html
    assert '<span class="nf-unheard" title="Not heard: interrupted"> at nine.</span>' in html
    assert f'src="/recordings/{call.call_id}.wav"' in html
    assert "Odd &lt;end&gt;." in html
    assert "<code>clause=3</code>" in html


def test_a_call_cannot_be_changed_or_deleted_here(staff: Client):
    call = CallFactory.create(live=True)

    assert staff.post(reverse("admin:calls_call_delete", args=[call.pk])).status_code == 403
    url = reverse("admin:calls_call_change", args=[call.pk])
    assert staff.post(url, {"status": "failed"}).status_code == 403
    call.refresh_from_db()
    assert call.status == "in-progress"


def test_every_kind_of_row_has_its_pages_and_shows_no_secret(staff: Client):
    attempt = DialAttemptFactory.create(token="the-secret-token")
    ticket = MediaTicketFactory.create(token_sha256="f" * 64)
    turn, event = TurnFactory.create(), CallEventFactory.create()

    for row in (attempt, ticket, turn, event):
        name = row._meta.model_name
        html = page(staff, reverse(f"admin:calls_{name}_changelist"))
        html += page(staff, reverse(f"admin:calls_{name}_change", args=[row.pk]))
        assert "the-secret-token" not in html
        assert "f" * 64 not in html


def test_what_is_left_to_do_after_a_call_is_shown_and_the_analysis_made_again(staff: Client):
    call = CallFactory.create(over=True)
    row = Aftercare.objects.create(call=call, analysis="failed", due_at=None, error="time-out")
    url = reverse("admin:calls_aftercare_changelist")

    html = page(staff, url)
    staff.post(url, {"action": "analyse_again", "_selected_action": [row.pk]})

    row.refresh_from_db()
    assert call.call_id in html
    assert "time-out" in html
    assert row.analysis == "pending"
    assert row.due_at is not None


def test_a_calls_page_leads_to_the_texts_with_its_person(staff: Client):
    call = CallFactory.create()
    url = f"/admin/calls/call/{call.pk}/change/"
    assert "Texts with this person" not in staff.get(url).content.decode()

    ThreadFactory.create(account=call.account, their_number=call.their_number)

    assert "Texts with this person" in staff.get(url).content.decode()


def test_a_calls_page_shows_to_whom_it_was_put_through(staff: Client):
    failed = TransferFactory.create(number=1, failed=True, to_number="+442087600001")
    TransferFactory.create(call=failed.call, number=2, bridged=True, whisper="It is <Sarah>.")

    html = page(staff, f"/admin/calls/call/{failed.call_id}/change/")

    assert "+442087600001</td><td>Cold</td><td>Failed: no-answer" in html
    assert "+442087601234</td><td>Cold</td><td>Bridged" in html
    assert "It is &lt;Sarah&gt;." in html
    assert failed.token not in page(staff, f"/admin/calls/transfer/{failed.pk}/change/")
    assert "+442087600001" in page(staff, "/admin/calls/transfer/")


def test_a_calls_prompt_keeps_its_lines_and_its_events_are_words(staff: Client):
    call = CallFactory.create(over=True, system_prompt_used="You are Mia.\n## HOW TO SPEAK")
    CallEventFactory.create(call=call, kind="amd", data={"t": 1570, "verdict": "human"})

    shown = page(staff, reverse("admin:calls_call_change", args=[call.pk]))

    assert '<div style="white-space:pre-wrap">You are Mia.\n## HOW TO SPEAK</div>' in shown
    assert "<td>who answered</td><td><code>verdict=human</code> </td>" in shown
    assert f">{call.created_at:%-d %b %Y, %H:%M:%S} UTC<" in shown
