"""What the simulator says on prompts it has never seen, and that it invents nothing."""

import itertools

import pytest

from sandbox.model.engine import reply_to
from sandbox.model.reply import ToolUse
from sandbox.tests.talking import talk


@pytest.mark.parametrize(
    ("prompt", "opening"),
    [
        (
            "You are Mia, the assistant of Acme Dental.\n"
            "CALL PURPOSE:\nRemind the caller about their appointment tomorrow.",
            "Hello, this is Mia, the assistant of Acme Dental. I'm calling to remind you "
            "about your "
            "appointment tomorrow. Does that still work for you?",
        ),
        (
            "Remind the caller about their appointment tomorrow.",
            "Hello, this is an automated assistant. I'm calling to remind you about your "
            "appointment tomorrow. Does that still work for you?",
        ),
        (
            "You are Theo, calling for Brightside Solar.\n## CALL PURPOSE\n"
            "Qualify the lead: roof size, monthly bill and timeline.",
            "Hello, this is Theo, calling for Brightside Solar. I'm calling with a few questions. "
            "What is your roof size?",
        ),
        (
            "You are the AI receptionist of Oak Street Vets.\n"
            "Purpose of this call: Ask the owner whether they still want the vaccination on "
            "Friday.",
            "Hello, this is the AI receptionist of Oak Street Vets. I'm calling with a quick "
            "question. "
            "Do you still want the vaccination on Friday?",
        ),
        (
            "Agent name: Pia\nCompany: Nordlys Hotel\n\n"
            "Task: Invite past guests to the winter gala on 12 December.",
            "Hello, this is Pia from Nordlys Hotel. I'm calling to invite you to the winter "
            "gala on "
            "12 December. Would you like that?",
        ),
        (
            "You are calling the tenant of 4 Mill Lane to tell them that the water will be off on "
            "Monday from 9 to 12.",
            "Hello, this is an automated assistant. I'm calling to tell you that the water will be "
            "off on Monday from 9 to 12. Do you have any questions about that?",
        ),
        (
            "You are Noor from Lumen Internet. Your task: survey the customer about their "
            "installation. Ask how satisfied they were and whether they would recommend us.",
            "Hello, this is Noor from Lumen Internet. I'm calling to survey you about your "
            "installation. Could you tell me how satisfied you were?",
        ),
        (
            "You are Max. Purpose of this call: Confirm the delivery of the piano on Friday.",
            "Hello, this is Max. I'm calling to confirm the delivery of the piano on Friday. "
            "Can you confirm that for me?",
        ),
        (
            "You are Ivy from Peak Gym. CALL PURPOSE: Follow up with the member about their "
            "expired "
            "membership and offer them 20 percent off.",
            "Hello, this is Ivy from Peak Gym. I'm calling to follow up with you about your "
            "expired "
            "membership and offer you 20 percent off. Would you like that?",
        ),
        (
            "You are Sam of Citywide Library. Purpose of this call: Collect the member's preferred "
            "branch, pick-up day and e-mail.",
            "Hello, this is Sam of Citywide Library. I'm calling to collect your preferred branch, "
            "pick-up day and e-mail. What is your preferred branch?",
        ),
        (
            "# WHO YOU ARE\nYou are Odile, a cheerful volunteer at River Rescue.\n# GOAL\n"
            "Thank the donor for their gift and find out whether they can help at the spring fair.",
            "Hello, this is Odile, the volunteer at River Rescue. I'm calling to thank you "
            "for your "
            "gift. Can you help at the spring fair?",
        ),
        (
            "You are Karl, the scheduler of Northway Heating.\nObjective: Call Sarah and let her "
            "know that her boiler inspection is moved to Thursday.\nCustomer name: Sarah",
            "Hi Sarah, this is Karl, the scheduler of Northway Heating. I'm calling to let "
            "you know "
            "that your boiler inspection is moved to Thursday. Do you have any questions "
            "about that?",
        ),
        (
            "You are Gus, the agent of Dairy Coop. Reason for this call: find out if the "
            "farmer has "
            "enough feed for the winter.",
            "Hello, this is Gus, the agent of Dairy Coop. I'm calling with a quick question. "
            "Do you have enough feed for the winter?",
        ),
        (
            "You are Léa, l'assistante de Moulin. Parlez français : répondez en français.\n"
            "Purpose of this call: rappeler la commande de pain.",
            "Bonjour, ici Léa, l'assistante de Moulin. Je vous appelle à ce sujet : rappeler la "
            "commande de pain. Avez-vous un moment ?",
        ),
    ],
)  # fmt: skip
def test_an_outbound_call_opens_with_who_why_and_one_question(prompt, opening):
    assert talk(prompt).replies == [opening]


def test_a_dated_note_is_told_as_history_and_the_person_greeted_by_name():
    spoken = talk(
        "You are Mia, the assistant of Acme Dental.\n"
        "## CALL PURPOSE\nRemind the caller about their appointment tomorrow.\n"
        '=== CALLER HISTORY ===\nThe name on file for this caller is "Sarah".\n'
        "- 2026-05-22 (call): Sarah booked a check-up for Tuesday at 2 pm."
    )

    assert spoken.replies[0] == (
        "Hi Sarah, this is Mia, the assistant of Acme Dental. I'm calling to remind you about your "
        "appointment tomorrow. When we spoke on Friday, 22 May, you booked a check-up for Tuesday "
        "at 2 pm. Does that still work for you?"
    )


CLINIC = """You are Ada, the receptionist of Fern Hill Physio.
We are open Monday to Friday from 8 to 6. A massage costs 55 euros.
- Address: 3 Canal Road
- Parking: free behind the building
If the caller wants to book an appointment, ask for their name, preferred day and time.
If asked about refunds, say that refunds take five days.
If the caller wants a person, write [TRANSFER:+442087601234].
[END_CALL] ends the call. [SEND_SMS: text] texts the caller.
"""


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What time do you open?", "We are open Monday to Friday from 8 to 6."),
        ("How much is a massage?", "A massage costs 55 euros."),
        ("where are you located", "Our address is 3 Canal Road."),
        ("Can I park my car there?", "Our parking is free behind the building."),
        ("How do refunds work?", "Refunds take five days."),
        (
            "How much is acupuncture?",
            "I'm sorry, I don't have that information. Would you like somebody to call you back?",
        ),
        (
            "Who won the cup final?",
            "I'm sorry, I don't have that information. Would you like somebody to call you back?",
        ),
    ],
)
def test_a_question_is_answered_from_the_prompt_or_honestly_not(question, answer):
    assert talk(CLINIC, question, first=None).replies == [answer]


def test_a_booking_asks_each_missing_slot_and_reads_back_the_callers_words():
    spoken = talk(
        CLINIC, "Hi, I'd like to book an appointment.", "It's Olu Adeyemi.", "Next Tuesday",
        "half past two", "Yes", "No, thank you.", first=None,
    )  # fmt: skip

    assert spoken.replies == [
        "What is your name?",
        "Thank you, Olu. Which day and time would suit you?",
        "Thank you, Next Tuesday. What time would suit you?",
        "Thank you, half past two. Let me read that back: name: Olu Adeyemi, preferred day: Next "
        "Tuesday, time: half past two. Is that right?",
        "Thank you, I have noted your request. Is there anything else I can help you with?",
        "Thank you for your time. Goodbye! [END_CALL]",
    ]


def test_what_a_caller_volunteers_is_not_asked_again():
    spoken = talk(
        CLINIC,
        "I want to book an appointment for Friday at 10 am, my name is Rui Costa.",
        first=None,
    )

    assert "name: Rui Costa, preferred day: Friday, time: 10 am." in spoken.replies[0]
    assert "What is your" not in spoken.replies[0]


@pytest.mark.parametrize(
    ("said", "tag"),
    [
        ("Please don't call me again.", "[END_CALL]"),
        ("That's all, goodbye.", "[END_CALL]"),
        ("You have the wrong number.", "[END_CALL]"),
        ("Can I speak to a human?", "[TRANSFER:+442087601234]"),
        ("Can you text me your address?", "[SEND_SMS: Our address is 3 Canal Road.]"),
    ],
)
def test_a_tag_is_used_only_when_the_prompt_teaches_it(said, tag):
    untaught = "\n".join(line for line in CLINIC.splitlines() if "[" not in line)

    assert talk(CLINIC, said, first=None).replies[-1].endswith(tag)
    assert "[" not in talk(untaught, said, first=None).replies[-1]


def test_an_answering_machine_is_named_where_the_tag_is_taught():
    greeting = "You have reached Dan. Please leave a message after the tone."
    prompt = "You are Max. Purpose of this call: Confirm the delivery on Friday."

    taught = talk(f"{prompt}\nReply with only [VOICEMAIL] to an answering machine.", greeting)
    untaught = talk(prompt, greeting)

    assert taught.replies[-1] == "[VOICEMAIL]"
    assert "I'm calling to confirm the delivery on Friday." in untaught.replies[-1]


def test_a_phone_menu_is_answered_with_the_key_that_serves_the_purpose():
    menu = (
        "For claims press 1. For car insurance renewals, press 2. To speak to an operator press 0."
    )
    prompt = "You are Max. Purpose of this call: Renew the car insurance. Use [PRESS: n] in menus."

    assert talk(prompt, menu).replies[-1] == "[PRESS: 2]"
    assert "[" not in talk(prompt.replace("[PRESS: n]", "care"), menu).replies[-1]


def test_it_says_that_it_is_a_machine_and_who_it_is_and_repeats_on_request():
    spoken = talk(
        CLINIC, "Are you a robot?", "Who is this?", "Sorry, can you repeat that?", first=None
    )

    assert spoken.replies == [
        "Yes, I'm an automated assistant, not a person.",
        "This is Ada, the receptionist of Fern Hill Physio.",
        "Of course. This is Ada, the receptionist of Fern Hill Physio.",
    ]


def test_nothing_is_said_twice_in_a_row():
    spoken = talk(
        CLINIC, *["What time do you open?"] * 4, *["Blue elephants sing."] * 4, first=None
    )

    assert all(one != two for one, two in itertools.pairwise(spoken.replies))


def test_silence_is_asked_about_once_and_then_the_call_ends():
    silent = "[The caller has been silent for 8 seconds.]"
    spoken = talk(CLINIC, "What time do you open?", silent, silent, first=None)

    assert spoken.replies[1:] == [
        "Are you still there?",
        "Thank you for your time. Goodbye! [END_CALL]",
    ]


def test_a_text_message_gets_a_short_plain_answer_without_tags():
    prompt = f"{CLINIC}\nYou are answering by SMS. Channel: SMS."

    replies = talk(prompt, "hi how much is a massage", "can i speak to a human", first=None).replies

    assert replies[0] == "A massage costs 55 euros."
    assert all("[" not in reply for reply in replies)


def test_a_caller_is_answered_in_their_own_language():
    prompt = (
        "Vous êtes Léa, l'assistante de la boulangerie Moulin. Nous ouvrons à 7 heures. "
        "Répondez en français."
    )

    assert talk(prompt, "Bonjour, quand ouvrez-vous ?", first=None).replies == [
        "Nous ouvrons à 7 heures."
    ]
    assert (
        talk(prompt, "Livrez-vous à domicile ?", first=None)
        .replies[0]
        .startswith("Je suis désolé, je n'ai pas cette information.")
    )


@pytest.mark.parametrize(
    "heard", ["", " ", "?", "...", "[", "]", "🙂", "a" * 5000, "press", "{name}"]
)
def test_odd_utterances_get_some_reply(heard):
    body = {"max_tokens": 99, "messages": [{"role": "user", "content": heard or "[noise]"}]}

    assert reply_to(body).text


TEAM = """You are Ada, the receptionist of Fern Hill Physio.
If the caller wants a person, write [TRANSFER:+442087601234]. If nobody answers there, transfer \
them to +442087601235.
"""
FAILED = "[The transfer to {} did not work: nobody answered.]"


def test_a_failed_transfer_leads_to_the_next_number_of_the_prompt_and_then_to_an_apology():
    first, second = FAILED.format("+442087601234"), FAILED.format("+442087601235")

    spoken = talk(TEAM, "Can I speak to a person?", first, second, first=None)

    assert spoken.replies[-3].endswith("[TRANSFER:+442087601234]")
    assert spoken.replies[-2].endswith("[TRANSFER:+442087601235]")
    assert "nobody could take the call" in spoken.replies[-1]
    assert "[" not in spoken.replies[-1]


def test_where_a_tool_puts_callers_through_it_is_used_and_said():
    tool = {
        "name": "transfer_call",
        "input_schema": {"type": "object", "properties": {"number": {"type": "string"}}},
    }
    prompt = "You are Ada. If the caller wants a person, transfer them to +442087601235."
    asked = {"role": "user", "content": "Can I speak to a real person, please?"}
    body = {"model": "m", "max_tokens": 500, "system": prompt, "messages": [asked]}

    reply = reply_to(body | {"tools": [tool]})

    assert reply.tools == [ToolUse("transfer_call", {"number": "+442087601235"})]
    assert reply.text == "Of course, I'll put you through now."
    assert "put you through" not in reply_to(body).text.replace("can't put you through", "")


def test_a_reply_that_was_cut_off_is_gone_on_with():
    prompt = "You are Mia. We open at nine in the morning, and we close at five."
    asked = {"role": "user", "content": "When do you open?"}
    body = {"model": "m", "max_tokens": 500, "system": prompt, "messages": [asked]}
    whole = reply_to(body).text
    said = "We open at nine in the morning,"
    cut = [
        {"role": "assistant", "content": said},
        {"role": "user", "content": "[You were cut off]"},
    ]

    rest = reply_to({**body, "messages": [asked, *cut]}).text

    assert rest.startswith("and we close at five.")
    assert f"{said} {rest}" == whole
