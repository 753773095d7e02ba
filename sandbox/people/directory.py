"""Who answers which number: a table, like the test cards of a payment company.

The table's numbers are from a range reserved for fiction (+1 XXX 555 01XX). Any other number of
that range is answered by a plain friendly human with a name, a voice and a free afternoon of their
own. So is any British mobile number (+447…): those are not fictional, real people have them, and
whoever leaves the sandbox with such a number in hand rings a real telephone.
"""

import re
import zlib
from dataclasses import replace
from typing import Any

from sandbox.speech.voices import Timbre

from . import machines, manners, texting
from .person import Person
from .script import Life

_WOMEN = (Timbre(1.08, 1.02), Timbre(0.92, 0.97), Timbre(1.15, 1.03), Timbre(0.97, 1.0, 1.06))
_MEN = (Timbre(0.62, 0.87), Timbre(0.7, 0.91), Timbre(0.66, 0.89, 1.05), Timbre(0.74, 0.92))
_FIRST_WOMEN = ("Laura", "Emma", "Sarah", "Grace", "Alice", "Helen", "Nora", "Julia")
_FIRST_MEN = ("Robert", "James", "Peter", "Daniel", "Thomas", "George", "Martin", "Simon")
_LAST = ("Bennett", "Miller", "Carter", "Walker", "Turner", "Cooper", "Parker", "Morgan", "Wilson")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
_TIMES = ("ten in the morning", "two in the afternoon", "half past three", "four o'clock", "noon")

PLAIN = re.compile(r"\+1[2-9]\d{2}55501\d{2}|\+447\d{9}")
E164 = re.compile(r"\+[1-9]\d{7,14}")


_overrides: dict[str, dict[str, Any]] = {}


def _human(number: str, about: str = "A friendly human.", **rest: Any) -> Person:
    """A person made up from the number: the same in every run."""
    dice = zlib.crc32(number.encode())
    woman = dice % 2 == 0
    first = (_FIRST_WOMEN if woman else _FIRST_MEN)[dice // 2 % 8]
    life = Life(first, _LAST[dice // 16 % 9], _DAYS[dice // 144 % 5], _TIMES[dice // 720 % 5])
    voice = (_WOMEN if woman else _MEN)[dice // 3600 % 4]
    other = (_MEN if woman else _WOMEN)[dice // 3600 % 4]
    usual: dict[str, Any] = {"second_voice": other, "manner": manners.friendly}
    return Person(number, about, life, voice, **(usual | rest))


_PEOPLE = (
    _human("+12025550110", "Answers and talks."),
    _human("+12025550111", "Talks over the caller after 1 s.", manner=manners.talks_over),
    _human(
        "+12025550112",
        "Voicemail: greeting, beep, records.",
        manner=machines.voicemail,
        answered_by="machine_end_beep",
        amd_ms=4000,
    ),
    _human("+12025550113", "Never answers.", answers="no_answer"),
    _human("+12025550114", "Busy.", answers="busy"),
    _human("+12025550115", "Not in service: the call fails.", answers="failed"),
    _human(
        "+12025550116",
        "A phone menu: 1 appointments, 2 hours, 0 front desk.",
        manner=machines.menu,
        answered_by="machine_start",
        amd_ms=3500,
    ),
    _human("+12025550117", "Hangs up at once.", manner=manners.hangs_up_at_once),
    _human(
        "+12025550118",
        "Says: please don't call me again.",
        manner=manners.refuses_further_calls,
    ),
    _human(
        "+12025550119",
        "Answers and stays silent.",
        manner=manners.says_nothing,
        answered_by="unknown",
    ),
    _human("+12025550120", "Talks slowly, with pauses in a sentence.", hesitates=True),
    _human("+12025550121", "Says mm-hmm while the caller talks.", manner=manners.backchannels),
    _human(
        "+12025550122",
        "A call-screening assistant, then the human.",
        manner=machines.screening,
        answered_by="unknown",
        amd_ms=3500,
    ),
    _human("+12025550123", "Wants to speak to a human.", manner=manners.wants_a_human),
    _human("+12025550124", "Texts back: yes.", texts_back="yes"),
    _human("+12025550125", "Texts back: STOP.", texts_back="stop"),
    _human("+12025550126", "Texts back a question.", texts_back="question"),
    _human("+12025550127", "A landline: texts fail with 30006.", text_error_code=30006),
    _human("+12025550128", "Picks up after 12 s.", rings_s=12.0),
    replace(
        _human("+12025550129", "A colleague who takes transfers.", manner=manners.takes_transfers),
        life=Life("Tom", "Baker"),
        voice=_MEN[0],
    ),
    _human(
        "+12025550130",
        "Somebody else's voicemail: greeting, beep, records.",
        manner=machines.voicemail,
        answered_by="machine_end_beep",
        amd_ms=4000,
    ),
    _human("+12025550131", "Refused: no permission for this country.", refusal_code=21215),
    _human("+12025550132", "Refused: not a valid number.", refusal_code=21217),
    _human("+12025550133", "Refused: caller may not call this number.", refusal_code=21216),
    _human("+12025550134", "Refused: the trial account needs it verified.", refusal_code=21219),
    _human("+12025550135", "Refused: blocked by the carrier.", refusal_code=13225),
)
TABLE = {person.number: person for person in _PEOPLE}


def person_at(number: str) -> Person | None:
    """Return who answers an E.164 number with what was overridden; None when nobody can."""
    person = TABLE.get(number)
    if person is None and (PLAIN.fullmatch(number) or number in _overrides):
        person = _human(number)
    return person and replace(person, **_overrides.get(number, {}))


def override(number: str, **changes: Any) -> Person:
    """Change a person for the calls to come (on top of earlier changes) and return them."""
    _overrides[number] = _overrides.get(number, {}) | changes
    return replace(TABLE.get(number) or _human(number), **_overrides[number])


def restore(number: str | None = None) -> None:
    """Forget the changes to one person, or to all, and whom they have texted."""
    if number is None:
        _overrides.clear()
        texting.forget()
    else:
        _overrides.pop(number, None)


def everybody() -> list[Person]:
    """The table, and whoever else was changed."""
    numbers = [*TABLE, *(n for n in _overrides if n not in TABLE)]
    return [person for n in numbers if (person := person_at(n))]
