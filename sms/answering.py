"""Automatic answers: one for all that a person wrote within a few seconds, each text at most once.

A thread's ``answer_due_at`` is the job: moved on by every text, and, while an answer is being
written, by as long as that may take, so that a killed worker's thread comes due again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from accounts.models import Suppression
from accounts.suppression import TEXT, is_suppressed
from agents.effective import effective
from agents.history import memory_of
from agents.model import ModelFailed, ToolCall, write
from agents.models import Agent, PhoneNumber
from agents.text_prompt import TextFacts, text_prompt
from sms.confirmations import confirmation
from sms.inbound import answering_agent, opt_out
from sms.models import Message, Thread
from sms.services import send_text

log = structlog.get_logger(__name__)

Reply = Message.Reply

WRITING_AT_MOST = timedelta(seconds=110)
# Pauses after failures; after the last, a person is asked to look.
PAUSES_S = (5, 20)
RECENT = 20  # texts of the thread that the model sees
LONGEST_ANSWER = 640
OPT_OUT_TOOL = {
    "name": "opt_out",
    "description": "The person does not want to be texted or called any more. Use it when they ask "
    "to be left alone, removed or unsubscribed, in whatever words; never for one appointment.",
    "input_schema": {"type": "object", "properties": {}, "additionalProperties": False},
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be answered: the thread as it was when the worker took it."""

    thread_pk: int
    newest_pk: int
    agent: Agent
    number: PhoneNumber
    system_stable: str
    system_now: str
    messages: list[dict[str, Any]]


def answer_due() -> int:
    """Write the answers that are due; return how many were sent.

    Safe to run any number of times at once: each run takes other threads.
    """
    sent = 0
    while (question := _take_next()) is not None:
        try:
            written = write(
                model=effective(question.agent, question.number).llm_model,
                system_stable=question.system_stable,
                system_now=question.system_now,
                messages=question.messages,
                tools=[OPT_OUT_TOOL],
            )
        except ModelFailed as failure:
            log.warning("text_not_answered", thread=question.thread_pk, why=str(failure))
            _fail(question)
            continue
        if _opts_out(written.tool_calls):
            _stop(question)
        elif words := _plain(written.text):
            sent += _send(question, words)
        else:
            log.warning("text_not_answered", thread=question.thread_pk, why="empty answer")
            _fail(question)
    return sent


def _opts_out(calls: tuple[ToolCall, ...]) -> bool:
    return any(call.name == OPT_OUT_TOOL["name"] for call in calls)


def _plain(text: str) -> str:
    """Return an answer as it may be texted: no markdown, and no longer than people read."""
    words = text.replace("**", "").replace("__", "").strip()
    if len(words) <= LONGEST_ANSWER:
        return words
    cut = max(words.rfind(mark, 0, LONGEST_ANSWER) for mark in (". ", "? ", "! ", "\n"))
    return words[: cut + 1].strip() if cut > 0 else words[:LONGEST_ANSWER].rstrip()


@transaction.atomic
def _take_next() -> Question | None:
    now = timezone.now()
    thread = (
        Thread.objects.filter(answer_due_at__lte=now)
        .order_by("answer_due_at")
        .select_for_update(no_key=True, skip_locked=True, of=("self",))
        .first()
    )
    if thread is None:
        return None
    pending = thread.messages.filter(reply=Reply.PENDING)
    newest = pending.newest_first().first()
    number = (
        PhoneNumber.objects.with_owners().select_related("account").filter(threads=thread).first()
    )
    if newest is None or number is None:
        _clear(thread)
        return _take_next()
    # What counts is when they wrote, not when a worker gets to it.
    agent = answering_agent(thread, number, newest.created_at)
    stop = _must_not(thread)
    if stop or isinstance(agent, str):
        pending.update(reply=stop or agent)
        _clear(thread)
        return _take_next()
    thread.answer_due_at = now + WRITING_AT_MOST
    thread.save(update_fields=["answer_due_at"])
    stable, of_now = text_prompt(agent=agent, number=number, facts=_facts(thread, agent, now))
    return Question(
        thread.pk, newest.pk, agent, number, stable, of_now, history(thread, newest.created_at)
    )


def _must_not(thread: Thread) -> str:
    if thread.taken_over_at is not None:
        return Reply.HUMAN
    if is_suppressed(thread.account, thread.their_number, TEXT):
        return Reply.OPT_OUT
    return ""


def _clear(thread: Thread) -> None:
    thread.answer_due_at, thread.answer_failures = None, 0
    thread.save(update_fields=["answer_due_at", "answer_failures"])


def _facts(thread: Thread, agent: Agent, now: datetime) -> TextFacts:
    memory = memory_of(agent, thread.number, thread.their_number, before=now, in_thread=True)
    return TextFacts(
        our_number=thread.our_number,
        their_number=thread.their_number,
        now=now,
        context=thread.context_prompt if thread.reply_until else "",
        memory=tuple(part for part in (memory.history, memory.context) if part),
    )


def history(thread: Thread, until: datetime) -> list[dict[str, Any]]:
    """Return the newest texts of the thread as the model takes them: roles alternate, and the
    first and last are the person's. Ours that never reached them are left out."""
    texts = (
        thread.messages.filter(created_at__lte=until)
        .exclude(status__in=[Message.Status.FAILED, Message.Status.UNDELIVERED])
        .exclude(origin=Message.Origin.OPT_OUT)
        .newest_first()[:RECENT]
    )
    messages: list[dict[str, Any]] = []
    for text in reversed(texts):
        role = "user" if text.direction == Message.Direction.INBOUND else "assistant"
        words = text.body.strip() or "[a picture or file, which you cannot see]"
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += f"\n{words}"
        else:
            messages.append({"role": role, "content": words})
    if messages and messages[0]["role"] == "assistant":
        messages.insert(0, {"role": "user", "content": "[You texted first.]"})
    return messages


@transaction.atomic
def _send(question: Question, words: str) -> bool:
    """Send an answer, unless something came in between: then what came decides."""
    thread = _still_mine(question)
    if thread is None:
        return False
    newest = Message.objects.get(pk=question.newest_pk)
    send_text(
        thread.account,
        agent=question.agent,
        number=question.number,
        to_number=thread.their_number,
        body=words,
        origin=Message.Origin.AUTO_REPLY,
        answers=newest,
    )
    thread.messages.filter(reply=Reply.PENDING).update(reply=Reply.ANSWERED)
    thread.needs_human = ""
    thread.save(update_fields=["needs_human"])
    _clear(thread)
    return True


@transaction.atomic
def _stop(question: Question) -> None:
    """The model understood that the person wants to be left alone: confirm once, then silence."""
    thread = _still_mine(question)
    if thread is None:
        return
    newest = Message.objects.get(pk=question.newest_pk)
    is_new = opt_out(newest, Suppression.Source.SMS_PLAIN, phrase="opt_out tool")
    thread.messages.filter(reply=Reply.PENDING).update(reply=Reply.OPT_OUT)
    _clear(thread)
    if is_new:
        send_text(
            thread.account,
            agent=question.agent,
            number=question.number,
            to_number=thread.their_number,
            body=confirmation(effective(question.agent).start_language),
            origin=Message.Origin.OPT_OUT,
        )


def _still_mine(question: Question) -> Thread | None:
    """Lock the thread; None if a text, an opt-out or an operator came while the model wrote."""
    thread = (
        Thread.objects.select_for_update(no_key=True, of=("self",))
        .select_related("account")
        .get(pk=question.thread_pk)
    )
    newest = thread.messages.filter(reply=Reply.PENDING).newest_first().first()
    if newest is None or newest.pk != question.newest_pk:
        return None
    if stop := _must_not(thread):
        thread.messages.filter(reply=Reply.PENDING).update(reply=stop)
        _clear(thread)
        return None
    return thread


@transaction.atomic
def _fail(question: Question) -> None:
    thread = _still_mine(question)
    if thread is None:
        return
    if thread.answer_failures < len(PAUSES_S):
        pause = timedelta(seconds=PAUSES_S[thread.answer_failures])
        thread.answer_due_at = timezone.now() + pause
        thread.answer_failures += 1
        thread.save(update_fields=["answer_due_at", "answer_failures"])
        return
    thread.messages.filter(reply=Reply.PENDING).update(reply=Reply.FAILED)
    thread.needs_human = "No automatic answer could be written."
    thread.save(update_fields=["needs_human"])
    _clear(thread)
