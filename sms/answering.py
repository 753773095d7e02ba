"""Automatic answers: one for all that a person wrote within a few seconds, each text at most once.

A thread's ``answer_due_at`` is the job: moved on by every text, and, while an answer is being
written, by as long as that may take, so that a killed worker's thread comes due again.
"""

import re
import time
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from accounts.models import Suppression
from accounts.runs import Runs
from agents.model import ModelFailed, Written, write
from agents.tools.base import ToolCall
from sms import nudges, text_tools, turns
from sms.confirmations import confirmation
from sms.conversation import conversation, words_of_person
from sms.inbound import MAY_REFUSE, opt_out
from sms.models import Message
from sms.questions import Question, hold, put_off, still_mine, take_next
from sms.services import send_text
from sms.tool_models import ToolRound

log = structlog.get_logger(__name__)

Reply = Message.Reply

# In a process; each waits for the model most of the time.
AT_ONCE = 16
_runs = Runs(at_once=1)
# Threads that come due while others are answered are looked for this often.
LOOK_AGAIN_S = 0.25
# A run takes no more threads then, well before its task would be killed; the next one goes on …
RUN_AT_MOST_S = 20.0
# … and an answer takes no more tools.
TOOLS_AT_MOST_S = 60.0
LONGEST_ANSWER = 640
# What an agent that also speaks was taught to do in calls.
_TAG = re.compile(
    r" ?\[\s*(?:END_CALL|TRANSFER|SEND_SMS|WAIT|IVR|IVR_END|PRESS|VOICEMAIL)\s*(?::[^\]]*)?\]"
)
# Around words; within an address these signs are its own.
_BOLD = re.compile(r"(?<!\w)(\*\*|__)(?=\S)(.+?)(?<=\S)\1(?!\w)", re.S)
OPT_OUT_TOOL = {
    "name": "opt_out",
    "description": "The person does not want to be texted or called any more. Use it when they ask "
    "to be left alone, removed or unsubscribed, in whatever words; never for one appointment.",
    "input_schema": {"type": "object", "properties": {}, "additionalProperties": False},
}


# Yields what waits for the model or for tools, is sent what came of it; returns if it was sent.
type _Steps = Generator[Callable[[], Any], Any, bool]


def answer_due() -> int:
    """Write the answers that are due, ``AT_ONCE`` side by side; return how many were sent.

    Safe to run any number of times at once: each run takes other threads. A process makes one, so
    that those who text take none of a worker's other threads, which dial and rescue calls.
    """
    return _runs.do(_answer_all)


def _answer_all() -> int:
    # All that touches the database happens in this thread; what waits for others, in the pool's.
    until, sent = time.monotonic() + RUN_AT_MOST_S, 0
    under_way: dict[Future[Any], tuple[Question, _Steps]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:

        def go_on(question: Question, steps: _Steps, done: Future[Any] | None = None) -> int:
            outcome = _go_on(question, steps, done)
            if isinstance(outcome, bool):
                return outcome
            under_way[pool.submit(outcome)] = question, steps
            return 0

        while True:
            finished = wait(under_way, LOOK_AGAIN_S, FIRST_COMPLETED).done if under_way else ()
            with nudges.one_to_send():
                for done in finished:
                    sent += go_on(*under_way.pop(done), done)
                while len(under_way) < AT_ONCE and time.monotonic() < until:
                    if (question := take_next()) is None:
                        break
                    sent += go_on(question, _answer(question))
            if not under_way:
                return sent


def _go_on(question: Question, steps: _Steps, done: Future[Any] | None) -> Callable[[], Any] | bool:
    """Take an answer one step further; return what it waits for next, or whether it was sent."""
    try:
        if done is None:
            return next(steps)
        failure = done.exception()
        return steps.send(done.result()) if failure is None else steps.throw(failure)
    except StopIteration as over:
        return bool(over.value)
    except ModelFailed as failure:
        log.warning("text_not_answered", thread=question.thread.pk, why=str(failure))
    except Exception:  # one conversation's trouble must not come back for ever
        log.exception("text_not_answered", thread=question.thread.pk)
    put_off(question)
    return False


def _answer(question: Question) -> _Steps:
    """Have an answer written, with what tools it takes; yield what it waits for, to be told the
    outcome; return whether the answer was sent.

    Raises ModelFailed where there is none. What was done before is on record and not done again.
    """
    until = time.monotonic() + TOOLS_AT_MOST_S
    confirmed = question.confirmed
    while True:
        messages = conversation(question.thread, question.newest)
        rounds = question.newest.tool_rounds.count()
        written = yield partial(
            write,
            model=question.holds.llm_model,
            system_stable=question.system_stable,
            system_now=question.system_now,
            messages=messages,
            tools=[*(tool.definition for tool in question.tools), OPT_OUT_TOOL],
            may_use_tools=rounds < text_tools.MOST_ROUNDS and time.monotonic() < until,
        )
        if _opts_out(written.tool_calls):
            _stop(question)
            return False
        if not written.tool_calls:
            if words := _plain(written.text):
                return _send(question, words)
            raise ModelFailed("empty answer")
        calls = written.tool_calls
        held = text_tools.question_before(question.tools, calls, confirmed)
        yes = confirmed if held is None and text_tools.uses(confirmed, calls) else None
        one = _begin(question, written, rounds + 1, held[0] if held else None, yes)
        if one is None:
            return False
        if held is not None:
            return _send(question, held[1], asks_about=one)
        outcomes = yield partial(
            text_tools.use_all, question.tools, calls, words_of_person(messages)
        )
        text_tools.note_results(one.pk, outcomes)
        confirmed = confirmed if yes is None else None
        if not _keep(question):
            return False


def _opts_out(calls: tuple[ToolCall, ...]) -> bool:
    return any(call.name == OPT_OUT_TOOL["name"] for call in calls)


def _plain(text: str) -> str:
    """Return an answer as it may be texted: without markdown and what only calls know, and no
    longer than people read."""
    words = _BOLD.sub(r"\2", _TAG.sub("", text)).strip()
    if len(words) <= LONGEST_ANSWER:
        return words
    cut = max(words.rfind(mark, 0, LONGEST_ANSWER) for mark in (". ", "? ", "! ", "\n"))
    if cut < LONGEST_ANSWER // 2:  # "Sure." alone answers nothing
        cut = words.rfind(" ", 0, LONGEST_ANSWER)
    return words[: cut + 1].strip() if cut > 0 else words[:LONGEST_ANSWER].rstrip()


@transaction.atomic
def _begin(
    question: Question,
    written: Written,
    number: int,
    held: ToolCall | None,
    yes: ToolRound | None,
) -> ToolRound | None:
    """Put on record that tools are about to be used, which uses up the ``yes`` to a proposal, or
    that one is ``held`` for the person's; None if something came in between."""
    thread, calls = still_mine(question), written.tool_calls
    if thread is None or question.newest.tool_rounds.filter(number=number).exists():
        return None
    now = timezone.now()
    if yes is not None:
        unused = ToolRound.objects.filter(pk=yes.pk, confirmed_at=None)
        if not unused.update(confirmed_at=now):
            return None
    one = ToolRound.objects.create(
        message=question.newest,
        number=number,
        asked=written.content,
        results=text_tools.held_results(calls, held) if held else {},
        proposal=text_tools.proposal_of(held) if held else "",
    )
    hold(question, thread, now)
    return one


@transaction.atomic
def _keep(question: Question) -> bool:
    """Hold the thread for the next step; False if something came in between."""
    thread = still_mine(question)
    if thread is None:
        return False
    hold(question, thread, timezone.now())
    return True


@transaction.atomic
def _send(question: Question, words: str, asks_about: ToolRound | None = None) -> bool:
    """Send an answer, unless something came in between: then what came decides. With
    ``asks_about`` it is the question that a proposal waits for."""
    thread = still_mine(question)
    if thread is None:
        return False
    answer = send_text(
        thread.account,
        agent=question.agent,
        number=question.number,
        to_number=thread.their_number,
        body=words,
        origin=Message.Origin.AUTO_REPLY,
        answers=question.newest,
    )
    if asks_about is not None:
        ToolRound.objects.filter(pk=asks_about.pk).update(question=answer)
    if thread.needs_human != MAY_REFUSE:
        thread.needs_human = ""
    turns.close(thread, Reply.ANSWERED)
    return True


@transaction.atomic
def _stop(question: Question) -> None:
    """The model understood that the person wants to be left alone: confirm once, then silence."""
    thread = still_mine(question)
    if thread is None:
        return
    is_new = opt_out(question.newest, Suppression.Source.SMS_PLAIN, phrase="opt_out tool")
    turns.close(thread, Reply.OPT_OUT)
    if is_new:
        send_text(
            thread.account,
            agent=question.agent,
            number=question.number,
            to_number=thread.their_number,
            body=confirmation(question.holds.start_language),
            origin=Message.Origin.OPT_OUT,
        )
