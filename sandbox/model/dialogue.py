"""The next thing to say: computed afresh from the prompt and everything said so far."""

import re
from collections.abc import Callable
from dataclasses import replace

from sandbox.model import moves, values
from sandbox.model.agenda import Agenda
from sandbox.model.conversation import Turn
from sandbox.model.facts import best_facts, is_question, overlap
from sandbox.model.grammar import clauses, second_person, task_from
from sandbox.model.opening import fitting_note, opening, purpose_line, recall, who_line
from sandbox.model.phrasing import Phrasing, norm
from sandbox.model.prompt import E164, Prompt, Rule
from sandbox.model.words import capitalised, content_stems, decapitalised, full_stop, sentences

_NO_MOVE: list[str] = []
_MENU = "[Phone menu]"
_ASKS_WHEN = re.compile(r"\b(?:what time|when|which day|what day)\b", re.I)
_THEIR_OWN = re.compile(r"\bmy\b|\b(?:am|do|did|have|was) i\b", re.I)


class Dialogue:
    """One conversation up to now. ``reply`` is a pure function of what it was made from."""

    def __init__(self, prompt: Prompt, turns: list[Turn], language: str) -> None:
        self.prompt = prompt
        self.turns = turns
        self.last = _without_menu(turns[-1])
        self.agent_said = [turn.text for turn in turns if turn.speaker == "agent" and turn.text]
        self.caller_said = [turn.text for turn in turns if turn.speaker == "caller" and turn.text]
        self.say = Phrasing(language, self.agent_said)
        self.agenda = Agenda(prompt, turns)
        # Who asks for a line again gets it again, in the same words.
        self._repeat_wanted = False

    def reply(self) -> str:
        """The words to speak, with the action tags that the prompt teaches."""
        said = self._parts()
        limit = 1 if self.prompt.brief and self.agent_said else 4
        spoken = [part for part in said if part and not part.startswith("[")]
        tags = [part for part in said if part.startswith("[")]
        if len(spoken) > limit:
            spoken = spoken[-limit:]
        text = " ".join(spoken)
        again = self._repeat_wanted and norm(text) != norm(" ".join(self.agent_said[-1:]))
        return " ".join([text if again else self.say.fresh(text), *tags]).strip()

    def _parts(self) -> list[str]:
        heard = self.last.text
        if not re.search(r"\w", heard):
            return self._after_note()
        if not self.agent_said and moves.GREETING.match(heard):
            return opening(self.prompt, self.say)
        if moves.HELLO.match(heard):
            self._repeat_wanted = True
            return [who_line(self.prompt, self.say), *(self._next() or self._why())]
        steps: tuple[Callable[[str], list[str]], ...] = (
            self._machine, self._opt_out, self._wrong_number, self._identity, self._repeat,
            self._wait, self._human, self._text_me, self._busy,
        )  # fmt: skip
        for step in steps:
            if parts := step(heard):
                return parts
        return self._converse(heard)

    # What a harness says in brackets.

    def _after_note(self) -> list[str]:
        note = self.last.note.lower()
        if re.search(r"transfer|nobody (?:picked|answered)|could not be reached", note):
            return self._after_failed_transfer()
        if re.search(r"text (?:was|did) not|sms (?:was|is) (?:not|blocked)|no text", note):
            return [self.say("no_text")]
        if re.search(r"leave (?:a|the|your) (?:voicemail )?message|voicemail|beep", note):
            return [who_line(self.prompt, self.say), purpose_line(self.prompt, self.say)]
        if not self.agent_said:
            return opening(self.prompt, self.say)
        if re.search(r"silen|quiet|nothing|no reply|not (?:spoken|answered)", note):
            if self.say.was_just_said("still_there"):
                return self._end("goodbye")
            return [self.say("still_there")]
        if re.search(r"\bend(?:ing)? the call|time limit|say goodbye|wrap up", note):
            return self._end("goodbye")
        return self._next() or [self.say("still_there")]

    def _after_failed_transfer(self) -> list[str]:
        """The next number that the prompt gives, else an apology."""
        tried = frozenset(E164.findall(" ".join(turn.note for turn in self.turns)))
        target = self.prompt.transfer_target(" ".join(self.caller_said[-1:]), tried)
        if target is None or not self.prompt.teaches("TRANSFER"):
            return [self.say("transfer_failed")]
        return [self.say("transfer_next"), f"[TRANSFER:{target}]"]

    def _why(self) -> list[str]:
        has_purpose = self.prompt.tasks or self.prompt.purpose
        return [purpose_line(self.prompt, self.say)] if has_purpose else []

    # Moves that stand above the agenda.

    def _machine(self, heard: str) -> list[str]:
        if "asks who is calling" in self.last.note:
            return [who_line(self.prompt, self.say), *self._why()]
        if moves.MENU.search(heard) and (self._teaches("PRESS") or self._teaches("IVR")):
            return [self._menu(heard)]
        if self.last.text_lines[-1:] and self.last.text_lines[-1].startswith(_MENU):
            return self._tag("IVR")
        early = len(self.caller_said) <= 2
        if not (early and moves.VOICEMAIL.search(heard)) or self.prompt.texting:
            return _NO_MOVE
        if moves.WHO.search(heard) and not re.search(r"beep|tone", heard, re.I):
            return _NO_MOVE
        tag = self._tag("VOICEMAIL") or self._tag("END_CALL")
        taught = [
            s for s in sentences(self.prompt.text) if "VOICEMAIL]" in s or "voicemail" in s.lower()
        ]
        leaves = any(re.search(r"(?:leave|say|with) .*message", s, re.I) for s in taught)
        if self._teaches("VOICEMAIL") and not leaves:
            return tag
        self._repeat_wanted = True
        return [who_line(self.prompt, self.say), *self._why(), *tag]

    def _menu(self, heard: str) -> str:
        options = moves.menu_options(heard)
        if not options or not self._teaches("PRESS"):
            return "[IVR]" if self._teaches("IVR") else ""
        aim = " ".join([*(task.statement for task in self.prompt.tasks), *self.prompt.purpose])
        best = max(options, key=lambda option: overlap(option[1], aim))
        if not overlap(best[1], aim):
            person = re.compile(r"operator|representative|speak|talk|reception|other|assist", re.I)
            best = next((option for option in options if person.search(option[1])), best)
        return f"[PRESS: {best[0]}]"

    def _opt_out(self, heard: str) -> list[str]:
        return self._end("opt_out") if moves.OPT_OUT.search(heard) else _NO_MOVE

    def _wrong_number(self, heard: str) -> list[str]:
        return self._end("wrong_number") if moves.WRONG_NUMBER.search(heard) else _NO_MOVE

    def _identity(self, heard: str) -> list[str]:
        if moves.ROBOT.search(heard):
            return [self.say("robot"), *self._next()[:1]]
        if moves.WHO.search(heard):
            self._repeat_wanted = True
            return [who_line(self.prompt, self.say), *self._why()]
        if moves.WHY.search(heard) and self._why():
            self._repeat_wanted = True
            return [*self._why(), *self._next()[:1]]
        return _NO_MOVE

    def _repeat(self, heard: str) -> list[str]:
        if self.agent_said and moves.REPEAT.search(heard):
            before = re.sub(r"^(?:Of course\.|I said:|As I said:)\s*", "", self.agent_said[-1])
            self._repeat_wanted = True
            return [self.say("again", text=before)]
        return _NO_MOVE

    def _wait(self, heard: str) -> list[str]:
        if moves.WAIT.search(heard) and len(heard.split()) <= 12 and "?" not in heard:
            return [self.say("wait"), *self._tag("WAIT")]
        return _NO_MOVE

    def _human(self, heard: str) -> list[str]:
        if not moves.HUMAN.search(heard):
            return _NO_MOVE
        target = None if self.prompt.texting else self.prompt.transfer_target(heard)
        if target is None or not self.prompt.teaches("TRANSFER"):
            return [self.say("no_transfer")]
        return [self.say("transfer"), f"[TRANSFER:{target}]"]

    def _text_me(self, heard: str) -> list[str]:
        if self.prompt.texting or not moves.TEXT_ME.search(heard):
            return _NO_MOVE
        told = self.agent_said[-1] if self.agent_said else ""
        facts = best_facts(heard, self.prompt.facts, told) or [
            fact for fact in self.prompt.facts if fact in told
        ]
        if not facts and self.prompt.tasks:
            facts = [purpose_line(self.prompt, self.say)]
        if not self._teaches("SEND_SMS") or not facts:
            return [self.say("no_text")]
        return [self.say("text_sent"), f"[SEND_SMS: {facts[0].replace(']', ')')}]"]

    def _busy(self, heard: str) -> list[str]:
        if (
            moves.BUSY.search(heard)
            and not self.prompt.texting
            and not self.say.was_just_said("when_call")
        ):
            when = " ".join(filter(None, (values.day(heard), values.clock(heard))))
            return (
                [self.say("callback_noted"), *self._goodbye()] if when else [self.say("when_call")]
            )
        return _NO_MOVE

    # The conversation itself.

    def _converse(self, heard: str) -> list[str]:
        parts = sentences(heard)
        questions = [part for part in parts if is_question(part)]
        told = " ".join(part for part in parts if part not in questions)
        answers: list[str] = []
        for question in questions[:2]:
            answers += self._answer(question)
        if answers:
            lead = self._acknowledge(told)[:1] if told else []
            unsure = self.say.is_one_of("no_information", answers[-1])
            more = "anything_else" if self.agent_said and not self.prompt.texting else None
            return lead + answers + ([] if unsure else self._next(closing=more))
        if self._pending_close(heard):
            return self._end("goodbye")
        if ruled := self._ruled(heard):
            return ruled
        if moves.NOT_INTERESTED.search(heard) and not re.search(r"\bbut\b", heard, re.I):
            return [self.say("understood"), *self._goodbye()]
        if self.say.was_just_said("when_call"):
            return [self.say("callback_noted"), *self._goodbye()]
        if self._offered_callback():
            if moves.YES.match(heard):
                return [self.say("callback_noted"), self.say("anything_else")]
            return [self.say("understood"), *self._next(closing="anything_else")]
        if self.say.was_just_said("read_back"):
            if moves.NO.match(heard):
                return [self.say("correct_what")]
            return [self.say("request_noted"), self.say("anything_else")]
        known = (
            best_facts(told, self.prompt.facts)
            if not self.agenda.open() and not self.agenda.filled and not moves.YES.match(told)
            else []
        )
        if known and len(content_stems(told)) > 1 and not self.agenda.asked_last:
            return [known[0], self.say("anything_else")]
        return self._acknowledge(heard) + self._next(closing="anything_else")

    def _answer(self, question: str) -> list[str]:
        """The prompt's own sentence for a question, or honestly none."""
        for rule in self._matching_rules(question):
            if parts := self._carry_out(rule):
                return parts
        if known := self.known(question):
            return [known]
        context = " ".join((self.agent_said[-1:] or [""]) + self.caller_said[-2:-1])
        if found := best_facts(question, self.prompt.facts, context):
            return found
        notes = [note.text for note in self.prompt.notes if note.tells]
        if found := best_facts(question, notes):
            note = next(note for note in self.prompt.notes if note.text == found[0])
            return [recall(note, self.prompt, self.say)]
        if _ASKS_WHEN.search(question) and (own := fitting_note(self.prompt)):
            return [recall(own, self.prompt, self.say)]
        if re.match(r"\W*(?:hi|hello)?\W*how are you", question, re.I):
            return [self.say("fine")]
        if moves.GREETING.match(question):
            return [] if self.agenda.open() else [self.say("how_help")]
        if self.agenda.wants(question):
            return []
        return [self.say("no_information")]

    def known(self, question: str) -> str:
        """What earlier conversations settled about "when is my …?"; "" where they did not."""
        if not (_ASKS_WHEN.search(question) and _THEIR_OWN.search(question)):
            return ""
        note = fitting_note(self.prompt, f"{question} appointment")
        return recall(note, self.prompt, self.say) if note else ""

    def _ruled(self, heard: str) -> list[str]:
        for rule in self._matching_rules(heard):
            if parts := self._carry_out(rule):
                return parts
        return _NO_MOVE

    def _matching_rules(self, heard: str) -> list[Rule]:
        stems = content_stems(heard)
        settled = self._offered_callback() or self.say.was_just_said("anything_else")
        if self.say.was_just_said("any_questions") and len(heard.split()) <= 3:
            settled = True
        refused = bool(moves.NO.match(heard)) and bool(self.agent_said) and not settled
        scored: list[tuple[float, int, Rule]] = []
        for index, rule in enumerate(self.prompt.rules):
            shared = rule.stems & stems
            score = len(shared) / max(1, len(rule.stems))
            if rule.on_refusal:
                score = score + 0.5 if refused else (score if moves.NO.search(heard) else 0.0)
            if score >= 0.3:
                scored.append((score, -index, rule))
        return [rule for *_, rule in sorted(scored, key=lambda item: item[:2], reverse=True)]

    def _carry_out(self, rule: Rule) -> list[str]:
        """A conditional instruction as speech; nothing where it cannot be said or was just said."""
        quoted = re.search(
            r"(?:say|answer|reply|tell (?:them|him|her))[^\"“]{0,20}[\"“](.+?)[\"”]",
            rule.then,
            re.I,
        )
        parts: list[str] = [quoted[1]] if quoted else []
        for clause in [] if quoted else clauses(rule.then):
            parts += self._clause(clause)
        for tag, detail in re.findall(r"\[([A-Z_]{3,})(:[^\]…]*)?\]", rule.then):
            if self.prompt.texting or (tag == "TRANSFER" and not detail):
                continue
            if tag in ("END_CALL", "TRANSFER", "WAIT"):
                parts = parts or [self.say("transfer" if tag == "TRANSFER" else "goodbye")]
                parts.append(f"[{tag}{detail}]")
        spoken = norm(" ".join(part for part in parts if not part.startswith("[")))
        repeated = any(spoken and spoken in norm(said) for said in self.agent_said[-2:])
        return [] if repeated else parts[:3]

    def _clause(self, clause: str) -> list[str]:
        if found := re.match(
            r"(?:say|answer|reply|explain|mention|tell (?:them|him|her|the \w+)) (?:that )?(.+)",
            clause,
        ):
            told = second_person(found[1])
            return [] if "[" in told else [full_stop(capitalised(told))]
        if re.match(r"apologi[sz]e", clause, re.I):
            return [self.say("sorry_problem")]
        task = task_from(clause)
        if task is None:
            return []
        if found := re.match(r"(?:offer|suggest|propose)(?: you)? to (.+)", task.statement):
            return [self.say("would_you_like", what=found[1])]
        if found := re.match(r"(?:offer|suggest|propose)(?: you)? (.+)", task.statement):
            return [self.say("can_offer", what=found[1]), self.say("come")]
        missing = [slot for slot in task.slots if slot.label not in self.agenda.filled]
        return [missing[0].question] if missing and not self.agenda.was_asked(missing[0]) else []

    def _acknowledge(self, heard: str) -> list[str]:
        slot = self.agenda.asked_last
        if slot and (value := self.agenda.filled.get(slot.label)):
            if slot.kind == "name":
                return [self.say("thanks_name", name=value.split(" ")[0])]
            if slot.kind in ("email", "phone"):
                return [self.say("thanks")]
            if slot.kind != "open" and len(value.split()) <= 6:
                value = decapitalised(value) if slot.kind == "number" else value
                return [self.say("noted", value=value)]
        if moves.TROUBLE.search(heard):
            return [self.say("sorry_problem")]
        if moves.NO.match(heard):
            return [self.say("understood")]
        if moves.YES.match(heard):
            return [self.say("great")]
        if not self.agent_said or moves.GREETING.match(heard):
            return (
                []
                if self.agenda.open()
                else [who_line(self.prompt, self.say)] * (not self.agent_said)
            )
        return [self.say("thanks")] if self.caller_said[:-1] or slot else []

    def _next(self, closing: str | None = None) -> list[str]:
        """The next question of the agenda, then the read-back, then ``closing``."""
        if slot := self.agenda.next():
            return [slot.question]
        items = self.agenda.to_read_back()
        used = any(turn.calls for turn in self.turns)  # who uses tools says what they did
        if items and not used and not self.say.was_ever_said("read_back"):
            return [self.say("read_back", items=", ".join(f"{label}: {v}" for label, v in items))]
        if closing and not self.agent_said:
            return [self.say("how_help")]
        return [self.say(closing)] if closing else []

    def _pending_close(self, heard: str) -> bool:
        if self.agenda.open() and not moves.GOODBYE.search(heard):
            return False
        if moves.GOODBYE.search(heard):
            return True
        asked = self.say.was_just_said("anything_else")
        asked = asked or (self.say.was_just_said("any_questions") and len(heard.split()) <= 4)
        if asked and (moves.NO.match(heard) or moves.THANKS.search(heard)):
            return True
        short = len(heard.split()) <= 6
        return (
            bool(self.agent_said)
            and short
            and bool(moves.THANKS.search(heard))
            and not self.agenda.asked_last
        )

    def _offered_callback(self) -> bool:
        return self.say.was_just_said("no_information") or self.say.was_just_said("no_transfer")

    def _end(self, key: str) -> list[str]:
        return [self.say(key), *self._tag("END_CALL")]

    def _goodbye(self) -> list[str]:
        return self._end("goodbye")

    def _teaches(self, tag: str) -> bool:
        return self.prompt.teaches(tag) and not self.prompt.texting

    def _tag(self, tag: str) -> list[str]:
        return [f"[{tag}]"] if self._teaches(tag) else []


def _without_menu(turn: Turn) -> Turn:
    """What a person said who came to the phone after a menu, if one did."""
    menu = [n for n, line in enumerate(turn.text_lines) if line.startswith(_MENU)]
    rest = " ".join(turn.text_lines[menu[-1] + 1 :]) if menu else ""
    return replace(turn, text=rest, raw=rest) if rest else turn
