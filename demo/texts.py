"""The story's texts: an answer with what the call left behind, and STOP."""

from urllib.parse import quote

from calls.models import Call
from demo import seed
from demo.calls import Booking
from demo.stage import AGENT, Stage, dashboard, wait_for
from sms.models import Message

QUESTION = "When is my appointment again?"
WITHIN_S = 40.0


def answer_after(stage: Stage, call: Call, booking: Booking | None) -> None:
    """The text after the call; the person asks; the agent answers from what the call left."""
    person = stage.sandbox.instruct(seed.SOMEBODY)
    stage.console.scene(f"After the call {AGENT} texts {person}, who has a question.")
    sent = wait_for(
        lambda: Message.objects.filter(
            call_id=call.call_id, origin=Message.Origin.POST_CALL, status=Message.Status.DELIVERED
        ).first(),
        WITHIN_S,
    )
    if sent is not None:
        stage.console.says(AGENT, sent.body, "delivered")
        stage.sandbox.text(seed.SOMEBODY, seed.OUR_NUMBER, QUESTION)
        stage.console.says(person, QUESTION)
    answers = Message.objects.filter(
        origin=Message.Origin.AUTO_REPLY, to_number=seed.SOMEBODY, pk__gt=sent.pk if sent else 0
    )
    answer = wait_for(answers.first, WITHIN_S) if sent else None
    if answer is not None:
        stage.console.says(AGENT, answer.body)
    stage.console.promise(
        "Answered by text with what was agreed on the telephone",
        answer is not None and booking is not None and booking.day in answer.body,
        otherwise=f"See the conversation at {dashboard('sms/thread/')}: is an answer due, or "
        "does it need a human?",
    )


def stop(stage: Stage) -> None:
    """STOP by text; afterwards neither a text nor a call goes out."""
    person = stage.sandbox.instruct(seed.SOMEBODY)
    stage.console.scene(f"{person} has had enough.")
    stage.sandbox.text(seed.SOMEBODY, seed.OUR_NUMBER, "STOP")
    stage.console.says(person, "STOP")
    own = {"agent_id": stage.agent_id, "to_number": seed.SOMEBODY, "from_number": seed.OUR_NUMBER}
    entered = wait_for(lambda: _is_entered(stage) or None, WITHIN_S)
    text = stage.api.refusal("/sms", own | {"body": "One more thing …"}) if entered else ""
    call = stage.api.refusal("/calls/outbound", own) if entered else ""
    stage.console.moment(
        f"the next text and the next call are refused: {text}"
        if text == call != ""
        else f"the next text: {text or 'sent'}; the next call: {call or 'placed'}"
    )
    stage.console.promise(
        f"Nobody texts or calls {person} again",
        text == call == "recipient_unsubscribed",
        otherwise=f"She should be on the do-not-contact list: {dashboard('accounts/suppression/')}",
    )


def _is_entered(stage: Stage) -> bool:
    number = quote(seed.SOMEBODY)
    return bool(stage.api.get(f"/suppressions?phone_number={number}")["count"])
