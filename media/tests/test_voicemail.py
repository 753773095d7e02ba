import pytest

from calls.machines import BY_CARRIER, BY_TRANSCRIPT
from media.phrases import LANGUAGES, PHRASES, normalise, search
from media.voicemail import (
    Answer,
    AnswerClassifier,
    MessageMoment,
    Verdict,
)


def heard(*sentences: str, after_agent: bool = False) -> AnswerClassifier:
    """A call on which the far end says these sentences as one turn."""
    classifier = AnswerClassifier()
    now = 400
    if after_agent:
        classifier.agent_started(now)
        now += 3_000
    for sentence in sentences:
        ends = now + 370 * len(sentence.split())
        classifier.heard(sentence, ends + 400, final=True, started_ms=now)
        now = ends + 400
    classifier.turn_ended(now + 700)
    return classifier


@pytest.mark.parametrize(
    "greeting",
    [
        "Hi, you've reached Sam. Please leave a message.",
        "Please leave a message.",
        "Hi, you've reached Ben, I can't answer at the moment. Leave a message.",
        "Please leave your message after the tone.",
        "The person you are calling is not available right now. Please try again later.",
        "Your call has been forwarded to an automated voice messaging system.",
        "The mailbox is full and cannot accept any new messages at this time.",
        "hi youve reached dan cant get to the phone leave me a mesage after the beet",
        "Vous êtes bien sur la messagerie de Sophie, laissez un message après le bip.",
        "Votre correspondant n'est pas disponible pour le moment.",
        "Hola, en este momento no puedo atenderle, deje su mensaje después del tono.",
        "El teléfono al que llama está apagado o fuera de cobertura.",
        "Guten Tag, hier ist die Mailbox von Jens, bitte sprechen Sie nach dem Signalton.",
        "Der Teilnehmer ist vorübergehend nicht erreichbar.",
        "مرحبا، أنا غير متاح حاليا، الرجاء ترك رسالة بعد سماع الصافرة",
        "الهاتف المطلوب مغلق أو خارج نطاق التغطية",
    ],
)
def test_a_recorded_greeting_is_voicemail(greeting: str):
    verdict = heard(greeting).verdict

    assert (verdict.answer, verdict.method) == (Answer.VOICEMAIL, BY_TRANSCRIPT)
    assert ".voicemail." in verdict.phrase


@pytest.mark.parametrize(
    "said",
    [
        ["Leave a message? No, I'm here."],
        ["leave a message no i'm here"],
        ["Leave a message", "haha no no I'm here"],
        ["You have reached the right person."],
        ["You've reached Sarah in billing, how can I help you?"],
        ["Sorry, I'm not available right now, call me later."],
        ["I'm not available right now.", "Call me back tomorrow."],
        ["Hi, is this about the voicemail I left this morning?"],
        ["Désolé, je ne suis pas disponible, rappelez-moi demain."],
        ["Laisser un message ? Non, je suis là."],
        ["No estoy disponible ahora, me puede llamar mañana."],
        ["Sie haben die Praxis Weber erreicht, was kann ich für Sie tun?"],
        ["أنا لا أستطيع الرد الآن، اتصل بي بعدين"],
    ],
)
def test_a_person_who_sounds_like_a_greeting_is_not_hung_up_on(said: list[str]):
    assert heard(*said).verdict.answer is Answer.HUMAN


@pytest.mark.parametrize(
    "reply",
    [
        "He's not available right now, can I take a message?",
        "He's not available at the moment. Do you want to leave a message?",
        "Did you leave me a message after the beep on Monday?",
        "Il est absent, vous voulez lui laisser un message ?",
        "No se encuentra, ¿quiere dejarle un mensaje?",
        "Der ist gerade nicht erreichbar, soll ich ihm etwas ausrichten?",
        "هو غير موجود الآن، هل تريد أن تترك له رسالة؟",
    ],
)
def test_a_person_who_answers_the_agent_about_messages_is_not_voicemail(reply: str):
    assert heard(reply, after_agent=True).verdict.answer is Answer.HUMAN


def test_a_brush_off_that_a_greeting_might_say_too_is_not_enough_to_hang_up():
    classifier = heard("No. Leave me a message or text me.", after_agent=True)

    assert classifier.verdict.answer is Answer.UNDECIDED


@pytest.mark.parametrize(
    "said",
    [
        "Please state your name and why you're calling.",
        "Hi, if you record your name and reason for calling, I'll see if this person is available.",
        "The person you're calling is using a screening service and will get a copy of this.",
        "Please state your name after the tone and we will try to connect you.",
        "Dites votre nom et la raison de votre appel.",
        "Diga su nombre y el motivo de la llamada.",
        "Bitte nennen Sie Ihren Namen und den Grund Ihres Anrufs.",
        "الرجاء ذكر اسمك وسبب الاتصال",
    ],
)
def test_a_call_screener_is_not_voicemail(said: str):
    assert heard(said).verdict.answer is Answer.SCREENING


@pytest.mark.parametrize(
    "said",
    [
        "For sales press 1. For support press 2.",
        "Please listen carefully as our menu options have changed.",
        "Pour un devis, tapez 1.",
        "Para ventas, presione dos.",
        "Für den Kundenservice drücken Sie die Eins.",
        "للغة العربية اضغط واحد",
    ],
)
def test_a_phone_menu_is_not_voicemail(said: str):
    assert heard(said).verdict.answer is Answer.MENU


def test_a_menu_that_ends_in_voicemail_becomes_voicemail():
    classifier = heard("For sales press one.")

    verdict = classifier.heard("Please leave a message after the tone.", 9_000, final=True)

    assert verdict is not None
    assert verdict.answer is Answer.VOICEMAIL


def test_a_person_put_through_by_a_screener_is_a_person():
    classifier = heard("Please state your name and why you're calling.")
    classifier.agent_started(5_000)

    classifier.heard("Hello?", 9_000, final=True, started_ms=8_500)

    assert classifier.turn_ended(9_700) == Verdict(Answer.HUMAN, BY_TRANSCRIPT, "", 0.8, 9_700)


def test_an_interim_decides_only_when_the_next_one_agrees():
    classifier = AnswerClassifier()

    assert classifier.heard("leave a message after the tone", 2_000, final=False) is None
    verdict = classifier.heard("leave a message after the tone when", 2_300, final=False)

    assert verdict is not None
    assert (verdict.answer, verdict.at_ms) == (Answer.VOICEMAIL, 2_300)


def test_an_interim_that_goes_on_as_a_question_decides_nothing():
    classifier = AnswerClassifier()
    classifier.heard("you've reached anna", 1_500, final=False)

    classifier.heard("You've reached Anna, how can I help you?", 3_000, final=True)
    classifier.turn_ended(3_700)

    assert classifier.verdict.answer is Answer.HUMAN


def test_a_phrase_cut_in_two_by_the_transcriber_is_found():
    classifier = AnswerClassifier()
    classifier.heard("Please leave your message", 2_000, final=True)

    verdict = classifier.heard("after the tone.", 3_000, final=True)

    assert verdict is not None
    assert verdict.phrase == "en.voicemail.after_the_tone"


@pytest.mark.parametrize("answered_by", ["human", "unknown"])
def test_amd_that_says_human_or_unknown_does_not_stop_the_matcher(answered_by: str):
    classifier = AnswerClassifier()
    classifier.amd(answered_by, 2_000)

    verdict = classifier.heard("Leave a message after the tone.", 5_000, final=True)

    assert verdict is not None
    assert (verdict.answer, verdict.method) == (Answer.VOICEMAIL, BY_TRANSCRIPT)


@pytest.mark.parametrize(
    "answered_by",
    ["machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax"],
)
def test_amd_that_says_machine_first_wins(answered_by: str):
    classifier = AnswerClassifier()

    verdict = classifier.amd(answered_by, 3_000)

    assert verdict == Verdict(Answer.VOICEMAIL, BY_CARRIER, "", 0.9, 3_000)
    assert classifier.heard("Leave a message after the tone.", 5_000, final=True) is None


@pytest.mark.parametrize("answered_by", ["human", "unknown", "machine_start"])
def test_a_machine_verdict_is_never_changed_by_later_amd(answered_by: str):
    voicemail = heard("Leave a message after the tone.")
    menu = heard("For sales press one.")
    before = voicemail.verdict, menu.verdict

    assert voicemail.amd(answered_by, 8_000) is None
    assert menu.amd(answered_by, 8_000) is None
    assert (voicemail.verdict, menu.verdict) == before


def test_amd_does_not_hang_up_on_a_receptionist_who_asks_how_to_help():
    classifier = heard("Good morning, Saint Mary's Clinic, how may I help you today?")

    assert classifier.amd("machine_start", 6_000) is None
    assert classifier.verdict.answer is Answer.HUMAN


def test_two_real_replies_switch_the_matcher_off():
    classifier = heard("Hello?")
    for now, reply in ((4_000, "Yes, that was me on Monday."), (9_000, "Tuesday at ten is fine.")):
        classifier.agent_started(now - 3_000)
        classifier.heard(reply, now + 1_500, final=True, started_ms=now)
        classifier.turn_ended(now + 2_200)

    assert classifier.settled
    assert classifier.heard("Leave a message after the tone.", 15_000, final=True) is None
    assert classifier.amd("machine_start", 16_000) is None
    assert classifier.beep(17_000) is None
    assert classifier.verdict.answer is Answer.HUMAN


def test_greetings_are_not_replies_and_leave_the_matcher_on():
    classifier = AnswerClassifier()
    for now in (1_000, 5_000, 9_000):
        classifier.agent_started(now - 900)
        classifier.heard("Hello?", now + 400, final=True, started_ms=now)
        classifier.turn_ended(now + 1_100)

    assert not classifier.settled


def test_a_beep_makes_a_hint_of_a_greeting_voicemail_and_alone_proves_nothing():
    hint = heard("You've reached Dan.")
    alone = heard("Hello?")

    verdict = hint.beep(4_000)

    assert verdict is not None
    assert verdict.answer is Answer.VOICEMAIL
    assert alone.beep(4_000) is None
    assert AnswerClassifier().beep(1_000) is None


def test_a_promised_beep_is_noticed():
    assert heard("Please leave your message after the tone.").beep_promised
    assert not heard("Please leave a message.").beep_promised


def test_case_accents_punctuation_and_contractions_do_not_matter():
    assert normalise("You’ve REACHED Zoë; I CAN'T answer!").words == (
        "you", "have", "reached", "zoe", "i", "can", "not", "answer",
    )  # fmt: skip
    assert normalise("أُتركْ رسالةً").words == normalise("اترك رساله").words
    assert normalise("press one, or 2").words == ("press", "#", "or", "#")


def test_a_long_phrase_with_one_wrong_word_is_found_but_never_without_its_not():
    wrong = normalise("leave a message after a the tome").words
    turned = normalise("mister lee is available right now").words

    assert [hit.phrase.answer for hit in search(wrong, fuzzy=True)] == ["voicemail"]
    assert search(wrong, fuzzy=True)[0].phrase.strength == "decisive"
    assert search(turned, fuzzy=True) == []


def test_every_language_has_phrases_of_every_class_and_there_are_more_than_36_for_voicemail():
    answers = {"voicemail", "screening", "menu", "guard", "greeting"}

    assert {(p.id[:2], p.answer) for p in PHRASES} == {(x, a) for x in LANGUAGES for a in answers}
    assert sum(p.answer == "voicemail" for p in PHRASES) > 36
    assert len({p.id for p in PHRASES if p.strength}) == sum(bool(p.strength) for p in PHRASES)


def test_a_message_begins_after_the_beep():
    moment = MessageMoment(speaking=True, at_ms=3_000)
    moment.silent(6_000)

    moment.beep(6_800)

    assert moment.due_ms == 7_000


def test_a_message_begins_a_second_after_a_greeting_without_a_beep():
    moment = MessageMoment(speaking=True, at_ms=3_000)

    moment.silent(6_000)
    assert moment.due_ms == 7_000
    moment.speaking(6_500)
    assert moment.due_ms == 25_000
    moment.silent(8_000)
    assert moment.due_ms == 9_000


def test_a_promised_beep_is_waited_for_longer():
    moment = MessageMoment(speaking=False, at_ms=6_000, beep_promised=True)

    assert moment.due_ms == 9_000


def test_a_message_begins_25_s_after_the_answer_at_the_latest():
    moment = MessageMoment(speaking=True, at_ms=3_000)

    moment.silent(24_800)

    assert moment.due_ms == 25_000


def test_a_message_begins_again_when_the_greeting_goes_on_or_beeps():
    moment = MessageMoment(speaking=False, at_ms=2_000)
    moment.began(3_000)

    assert moment.speaking(3_400) is False
    assert moment.speaking(4_100) is True
    moment.silent(6_000)
    assert moment.due_ms == 7_000
    moment.began(7_000)
    assert moment.beep(7_300) is True
    assert moment.due_ms == 7_500


def test_a_message_after_the_beep_is_not_stopped_by_noise():
    moment = MessageMoment(speaking=False, at_ms=2_000)
    moment.beep(2_500)
    moment.began(2_700)

    assert moment.speaking(3_000) is False
    assert moment.speaking(5_000) is False
