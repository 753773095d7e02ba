"""What is to be answered: a conversation that came due, held by one worker, who may lose it to
whatever comes in between.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.suppression import TEXT, is_suppressed
from agents.effective import Effective, effective
from agents.history import memory_of
from agents.models import Agent, PhoneNumber
from agents.text_prompt import TextFacts, text_prompt, text_variables
from agents.tools.base import Tool
from sms import text_tools, turns
from sms.inbound import FOR_HUMANS, answering_agent
from sms.known_numbers import known_numbers
from sms.models import Message, Thread
from sms.tool_models import ToolRound

log = structlog.get_logger(__name__)

Reply = Message.Reply

# One step of an answer; a killed worker's conversation comes due again then.
WRITING_AT_MOST = timedelta(seconds=110)
# Pauses after failures; after the last, a person is asked to look.
PAUSES_S = (5, 20)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be answered: the thread as it was when the worker took it."""

    thread: Thread
    newest: Message
    agent: Agent
    number: PhoneNumber
    holds: Effective
    system_stable: str
    system_now: str
    tools: tuple[Tool, ...]
    confirmed: ToolRound | None  # the proposal to which the texts are a yes


@transaction.atomic
def take_next() -> Question | None:
    """Hold the next thread that is due; those that nobody may answer are settled on the way."""
    now = timezone.now()
    while (thread := turns.next_due(now)) is not None:
        try:
            question = _take(thread, now)
        except DatabaseError:
            raise
        except Exception:  # as with one that is being answered
            log.exception("text_not_answered", thread=thread.pk)
            _later(thread)
            continue
        if question is not None:
            return question
    return None


def _take(thread: Thread, now: datetime) -> Question | None:
    newest = turns.newest_waiting(thread)
    number = known_numbers([thread.number_id or 0]).get(thread.number_id or 0)
    if newest is None:
        turns.close(thread)
        return None
    if number is None:
        _leave(thread, Reply.NO_AGENT)
        return None
    thread.account = number.account
    if thread.agent_id is not None and thread.agent_id == number.agent_id:
        thread.agent = number.agent
    # What counts is when they wrote, not when a worker gets to it.
    agent = answering_agent(thread, number, newest.created_at)
    stop = _must_not(thread)
    if stop or isinstance(agent, str):
        _leave(thread, stop or str(agent))
        return None
    turns.hold(thread, now + WRITING_AT_MOST)
    return _question(thread, newest, agent, number, now)


def _leave(thread: Thread, reply: str) -> None:
    """Leave the texts that wait without an answer, and tell a person who is to look."""
    thread.needs_human = thread.needs_human or FOR_HUMANS.get(Reply(reply), "")
    turns.close(thread, reply)


def _question(
    thread: Thread, newest: Message, agent: Agent, number: PhoneNumber, now: datetime
) -> Question:
    holds = effective(agent, number)
    facts = TextFacts(
        our_number=thread.our_number,
        their_number=thread.their_number,
        now=now,
        context=thread.context_prompt if thread.is_open(newest.created_at) else "",
    )
    memory = memory_of(agent, number, thread.their_number, before=now, in_thread=True)
    stable, of_now = text_prompt(
        agent=agent, number=number, facts=replace(facts, memory=memory.sections)
    )
    values = text_variables(agent, facts) | {"caller_history": memory.history}
    return Question(
        thread=thread,
        newest=newest,
        agent=agent,
        number=number,
        holds=holds,
        system_stable=stable,
        system_now=of_now,
        tools=text_tools.tools_of(thread, number, memory, holds, values),
        confirmed=text_tools.confirmed_proposal(thread, newest, holds.start_language),
    )


def _must_not(thread: Thread) -> str:
    if thread.taken_over_at is not None:
        return Reply.HUMAN
    if is_suppressed(thread.account, thread.their_number, TEXT):
        return Reply.OPT_OUT
    return ""


def hold(question: Question, thread: Thread, now: datetime) -> None:
    """Keep a thread that is ``still_mine`` for one more step."""
    turns.hold(thread, now + WRITING_AT_MOST)
    question.thread.answer_due_at = thread.answer_due_at


def still_mine(question: Question) -> Thread | None:
    """Lock the thread; None if a text, an opt-out or an operator came while the model wrote, or
    another worker has it: each of them moves the time at which the thread comes due."""
    thread = turns.lock(question.thread.pk)
    if thread is None or thread.answer_due_at != question.thread.answer_due_at:
        return None
    thread.account = question.thread.account
    if stop := _must_not(thread):
        _leave(thread, stop)
        return None
    return thread


@transaction.atomic
def put_off(question: Question) -> None:
    """Have a conversation whose answer failed answered later, unless something came in between."""
    if (thread := still_mine(question)) is not None:
        _later(thread)


def _later(thread: Thread) -> None:
    """Have the thread answered later; after several failures have a person look."""
    if thread.answer_failures < len(PAUSES_S):
        pause = timedelta(seconds=PAUSES_S[thread.answer_failures])
        thread.answer_due_at = timezone.now() + pause
        thread.answer_failures += 1
        thread.save(update_fields=["answer_due_at", "answer_failures"])
        return
    thread.needs_human = "No automatic answer could be written."
    turns.close(thread, Reply.FAILED)
