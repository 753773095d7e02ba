import gc
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from agents import languages, voices
from agents.effective import effective, keyterms
from agents.factories import AgentFactory, PhoneNumberFactory
from agents.history import Memory
from agents.models import Agent, PhoneNumber
from agents.prompt import PURPOSE, CallFacts, voice_prompt
from agents.variables import substitute


def facts(**changes: Any) -> CallFacts:
    return CallFacts(
        **{
            "call_id": "call_0123456789abcdef",
            "direction": "outbound",
            "our_number": "+447446466847",
            "their_number": "+447386172392",
            "started_at": datetime(2026, 5, 25, 13, 32, 7, tzinfo=UTC),
            **changes,
        }
    )


def agent_of(**settings: Any) -> Agent:
    return AgentFactory.build(agent_id="agent_0123456789abcdef", **settings)


def number_of(agent: Agent, **settings: Any) -> PhoneNumber:
    return PhoneNumberFactory.build(account=agent.account, agent=agent, **settings)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Hi {{name}}", "Hi Sarah"),
        ("Hi {name}", "Hi Sarah"),
        ("Hi {{{name}}}", "Hi {Sarah}"),
        ("Hi {{Name}}, {other}, {{other}}", "Hi {{Name}}, {other}, {{other}}"),
        ("{{yes}} {no} {n} {nothing}.", "true false 3 ."),
        ("{{sly}}", "{{name}}"),
        ("{list}", '["é"]'),
        ("{ name } {{ name }} {}", "{ name } {{ name }} {}"),
    ],
)
def test_a_placeholder_with_a_value_is_replaced_once(text: str, filled: str):
    values = {
        "name": "Sarah",
        "yes": True,
        "no": False,
        "n": 3,
        "nothing": None,
        "sly": "{{name}}",
        "list": ["é"],
    }

    assert substitute(text, values) == filled


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("current_date", "Monday, May 25, 2026"),
        ("current_time", "14:32"),
        ("current_day_of_week", "Monday"),
        ("tomorrow_date", "Tuesday, May 26, 2026"),
        ("current_timezone", "Europe/London"),
        ("current_iso_date", "2026-05-25"),
        ("current_iso_time", "14:32:07"),
        ("tomorrow_iso_date", "2026-05-26"),
        ("caller_phone", "+447386172392"),
        ("business_phone", "+447446466847"),
        ("call_direction", "outbound"),
        ("call_id", "call_0123456789abcdef"),
        ("agent_id", "agent_0123456789abcdef"),
        ("caller_history", "Name: John."),
    ],
)
def test_the_engines_variables_are_in_the_agents_time_and_win(name: str, value: str):
    agent = agent_of(system_prompt=f"<{{{{{name}}}}}>")
    call = facts(memory=Memory(history="Name: John."), variables={name: "forged"})

    stable, _ = voice_prompt(agent=agent, number=None, call=call)

    assert stable.startswith(f"<{value}>")


def test_upcoming_days_are_the_next_seven():
    agent = agent_of(system_prompt="{{upcoming_days}}")

    stable, _ = voice_prompt(agent=agent, number=None, call=facts())

    line = stable.splitlines()[0]
    assert line.startswith("Next 7 days: Tuesday 26 May (2026-05-26), Wednesday 27 May")
    assert line.endswith("Monday 1 June (2026-06-01)")


def test_the_stable_prefix_is_the_same_for_the_next_call():
    agent = agent_of(system_prompt="You answer for {{business_phone}}.")
    number = number_of(agent, custom_prompt="Open till six.")
    later = facts(
        call_id="call_f",
        their_number="+447386172393",
        started_at=datetime(2026, 6, 1, tzinfo=UTC),
        purpose="Ask about Friday.",
        variables={"name": "Bo"},
        memory=Memory(history="Name: Bo."),
    )

    first, first_call = voice_prompt(agent=agent, number=number, call=facts())
    second, second_call = voice_prompt(agent=agent, number=number, call=later)

    assert first == second
    assert first_call != second_call


def test_an_outbound_calls_purpose_and_details_come_after_the_facts():
    call = facts(purpose="Remind {name} of {{day}}.", variables={"name": "Sarah", "day": "Tuesday"})

    _, said = voice_prompt(agent=agent_of(), number=None, call=call)

    assert f"{PURPOSE}\nRemind Sarah of Tuesday." in said
    assert said.index("Today: Monday, May 25, 2026") < said.index(PURPOSE)
    assert said.index(PURPOSE) < said.index("- name: Sarah\n- day: Tuesday")


def test_without_a_prompt_the_agents_own_instructions_are_the_purpose():
    _, said = voice_prompt(agent=agent_of(), number=None, call=facts())

    assert (
        f"{PURPOSE}\nNothing was added for this call: do what your instructions above say." in said
    )


def test_an_inbound_call_has_no_purpose_and_no_voicemail():
    stable, said = voice_prompt(agent=agent_of(), number=None, call=facts(direction="inbound"))

    assert PURPOSE not in said
    assert "inbound (they called you)" in said
    assert "[VOICEMAIL]" not in stable
    assert "[VOICEMAIL]" in voice_prompt(agent=agent_of(), number=None, call=facts())[0]


def test_ending_is_taught_only_where_it_is_allowed():
    may, may_not = (
        voice_prompt(agent=agent_of(func_end_call=allowed), number=None, call=facts())[0]
        for allowed in (True, False)
    )

    assert "[END_CALL]" in may
    assert "[END_CALL]" not in may_not


def test_the_numbers_profile_follows_the_agents_prompt():
    agent = agent_of(system_prompt="You are a receptionist.")
    number = number_of(agent, custom_prompt="Acme Dental, {{business_phone}}.")

    stable, _ = voice_prompt(agent=agent, number=number, call=facts())

    assert stable.index("You are a receptionist.") < stable.index("## BUSINESS PROFILE")
    assert "Acme Dental, +447446466847." in stable


@pytest.mark.parametrize(
    ("language", "prompt", "says"),
    [
        ("fr", "", "Speak only French"),
        ("en-GB", "", "Speak only English"),
        ("multi", "You are kind.", "Begin in English"),
        ("multi", "Eres la recepcionista de una clínica para los clientes.", "Begin in Spanish"),
    ],
)
def test_the_language_rule_follows_the_setting(language: str, prompt: str, says: str):
    agent = agent_of(language=language, system_prompt=prompt)

    assert says in voice_prompt(agent=agent, number=None, call=facts())[0]


@pytest.mark.parametrize(
    ("prompt", "language"),
    [
        ("You are the receptionist of Acme Dental in Paris.", "en"),
        ("", "en"),
        ("Vous êtes la réceptionniste d'une clinique, avec des clients pour Paris.", "fr"),
        ("Du bist die freundliche Empfangsdame und hilfst mit Terminen für die Praxis.", "de"),
        ("Sei la receptionist di una clinica con gli orari della città.", "it"),
        ("Você é uma atendente para os clientes da nossa clínica.", "pt"),
        ("Je bent een receptionist voor het bedrijf met klanten.", "nl"),
        ("Jesteś recepcjonistką w naszej klinice i zawsze mówisz dzień dobry.", "pl"),
        ("أنت موظف استقبال لطيف", "ar"),
        ("את פקידת קבלה", "he"),
        ("あなたは受付係です", "ja"),
        ("당신은 접수원입니다", "ko"),
        ("你是一位前台接待员", "zh"),
        ("आप एक रिसेप्शनिस्ट हैं", "hi"),
        ("Вы администратор клиники", "ru"),
        ("You greet every guest with 你好 and then speak English to them.", "en"),
    ],
)
def test_a_multilingual_agent_begins_in_the_language_of_its_prompt(prompt: str, language: str):
    assert languages.start_language("multi", prompt) == language


def test_a_number_wins_over_its_agent_and_null_inherits():
    agent = agent_of(
        voice_id="Ashley",
        speaking_rate=1.2,
        dtmf_enabled=True,
        record_call=True,
        voicemail_leave_enabled=True,
        voicemail_message="Agent's words.",
        enable_sms_reply=True,
    )
    silent = number_of(agent)
    own = number_of(
        agent,
        voice_id="Edward",
        speaking_rate=1.0,
        dtmf_enabled=False,
        record_call=False,
        recording_source="nixflex",
        require_booking_confirmation=True,
        voicemail_leave_enabled=False,
        sms_reply_enabled=False,
        custom_prompt="Profile.",
    )

    assert effective(agent, silent) == effective(agent)
    inherited, ruled = effective(agent, silent), effective(agent, own)
    assert (inherited.voice, inherited.speaking_rate, inherited.dtmf_enabled) == (
        "aura-2-thalia-en",
        1.2,
        True,
    )
    assert (inherited.voicemail_leave_enabled, inherited.voicemail_message) == (
        True,
        "Agent's words.",
    )
    assert (ruled.voice, ruled.speaking_rate, ruled.dtmf_enabled, ruled.record_call) == (
        "aura-2-apollo-en",
        1.0,
        False,
        False,
    )
    assert (ruled.recording_source, ruled.require_booking_confirmation) == ("nixflex", True)
    assert (ruled.voicemail_leave_enabled, ruled.voicemail_message) == (False, "")
    assert (ruled.sms_reply_enabled, ruled.business_profile) == (False, "Profile.")


def test_the_settings_of_a_call_leave_no_types_behind():
    agent = AgentFactory.build()
    effective(agent)
    gc.collect()
    before = sum(type(one) is TypeVar for one in gc.get_objects())

    for _ in range(3):
        effective(agent)

    gc.collect()
    assert sum(type(one) is TypeVar for one in gc.get_objects()) == before


def test_a_numbers_unknown_voice_falls_back_to_its_agents():
    agent = agent_of(voice_id="Olivia")

    assert effective(agent, number_of(agent, voice_id="Nobody")).voice == "aura-2-pandora-en"
    assert effective(agent, number_of(agent, voice_id="aura-2-luna-en")).voice == "aura-2-luna-en"


def test_keyterms_are_trimmed_unique_and_few():
    assert keyterms(" Acme, crown ,,Acme") == ("Acme", "crown")
    assert keyterms(None) == ()
    assert len(keyterms(",".join(f"t{n}" for n in range(80)))) == 50


def test_the_carriers_own_voice_knows_each_language():
    known = {code: languages.locale_of(code) for code in languages.NAMES}

    assert len(set(known.values())) == len(languages.NAMES)
    assert known["zh"] == "cmn-CN"
    assert languages.locale_of("pt-PT") == "pt-BR"
    assert languages.locale_of("multi") == "en-US"


def test_chinese_is_heard_by_the_model_that_knows_it():
    assert languages.transcription("zh", flux=False) == ("nova-2", "zh")
    assert languages.transcription("multi", flux=False) == ("nova-3", "multi")
    assert languages.transcription("en-GB", flux=False) == ("nova-3", "en-GB")
    assert languages.transcription("fr-CA", flux=False) == ("nova-3", "fr")


@pytest.mark.parametrize(
    ("language", "model", "hears"),
    [
        ("en", "flux-general-en", "en"),
        ("en-GB", "flux-general-en", "en-GB"),
        ("multi", "flux-general-multi", "multi"),
        ("fr-CA", "flux-general-multi", "fr-CA"),
        ("ja", "flux-general-multi", "ja"),
        ("ar", "nova-3", "ar"),
        ("pl", "nova-3", "pl"),
        ("zh", "nova-2", "zh"),
    ],
)
def test_turns_are_heard_by_flux_where_it_knows_the_language(language, model, hears):
    assert languages.transcription(language, flux=True) == (model, hears)


def test_an_operator_goes_back_to_nova_for_everybody(settings):
    agent = agent_of(language="en")

    by_default = effective(agent).transcription_model
    settings.TRANSCRIBER = "nova-3"

    assert (by_default, effective(agent).transcription_model) == ("flux-general-en", "nova-3")


def test_every_voice_of_the_table_is_a_model_of_the_speech_service():
    for name, voice in voices.VOICES.items():
        assert voices.find_voice(voice.model) is not None, name
    assert voices.find_voice("Nobody") is None
    assert voices.find_voice("aura-2-thalia-en; drop") is None
