"""A large table: what is a refusal, what must be asked, and what only looks like one."""

import time

import pytest

from accounts.refusals import acknowledgement, find_refusal, question

CERTAIN = """
Please don't call me again.
please dont call me again
Don't ever call me again!
Never call me again.
Do not call this number again.
Don't call here anymore.
Don't you ever call this number again.
Could you please not call me again?
Can you not call me again, please?
I'm asking you not to call me again.
Please stop calling.
Stop calling me.
Stop calling me, I'm not interested.
Hi, yes, um, could you stop calling me please?
Quit calling this number!
Stop calling and texting me.
Stop texting me.
Stop harassing us.
I want you to stop calling me.
I want these calls to stop.
I've told you to stop calling.
I already told you not to call me.
I told you people not to call.
I asked you to stop texting.
Take me off your list.
Take us off your list please.
Can you take me off your calling list?
Could you please remove me from your list?
Remove me from the calling list.
I'd like you to take my name off your list.
Get me off your list!
Remove my number.
Please remove my number from your database.
Delete my number, thank you.
Lose my number.
Just take me off, please.
Put me on your do not call list.
Please add this number to the do-not-call list.
No more texts.
No more calls, please.
No more text messages, okay?
I don't want any more calls.
I do not want to receive any more messages.
I don't want to be contacted again.
I don't want to be called anymore.
I don't want you calling me anymore.
I never want to hear from you again.
I want to opt out.
I would like to unsubscribe.
Unsubscribe me.
I revoke my consent.
I withdraw my permission.
You don't have my permission to call.
If you call me again I will report you.
If you ever call this number again I'm calling the police.
Thanks for telling me. Look, never call me again.
No me vuelva a llamar.
No me vuelvan a llamar, por favor.
No me llame más.
Por favor, no vuelvan a llamarme.
Deje de llamarme.
Dejen ya de molestarme.
Nunca más me llamen.
No quiero que me llamen más.
No más llamadas, por favor.
No quiero recibir más mensajes.
Quíteme de su lista.
Sáquenme de la lista de llamadas.
Quiero darme de baja.
Borre mi número.
Elimine mi número de su base.
No me escriban más.
Ne m'appelez plus.
Ne m'appelez plus jamais !
Ne me rappelez plus, s'il vous plaît.
Arrêtez de m'appeler.
Arrêtez immédiatement de me contacter.
Cessez ces appels.
Je ne veux plus être appelé.
Je ne veux plus recevoir d'appels.
Je ne souhaite plus être contactée.
Plus d'appels, s'il vous plaît.
Plus de messages.
Enlevez-moi de votre liste.
Retirez mon numéro de vos fichiers.
Supprimez mon numéro.
Désinscrivez-moi.
Merci de ne plus m'appeler.
Rufen Sie mich nicht mehr an.
Rufen Sie mich bitte nie wieder an!
Ruf hier nie wieder an.
Ich möchte nicht mehr angerufen werden.
Ich will nicht mehr kontaktiert werden.
Hören Sie auf, mich anzurufen.
Hören Sie bitte auf, mir zu schreiben.
Keine Anrufe mehr.
Bitte keine weiteren Nachrichten.
Ich möchte keine Anrufe mehr.
Ich will, dass Sie mich nicht mehr anrufen.
Nehmen Sie mich von Ihrer Liste.
Streichen Sie mich bitte aus Ihrer Liste.
Löschen Sie meine Nummer.
Bitte mich nicht mehr anrufen.
"""

LIKELY = """
Don't call me.
Please don't contact me.
Don't call me back.
Never call me again before nine.
Don't call me again until Monday.
Take me off the list.
Remove my name from this list.
I am on the do not call list.
How do I unsubscribe?
How do I get off your list?
Leave me alone.
I'm sick of these calls.
I don't want these calls.
Stop calling me Bob.
I don't want you to call me.
No me llame.
Déjeme en paz.
Ne m'appelez pas.
Laissez-moi tranquille.
Rufen Sie mich nicht an.
Lassen Sie mich in Ruhe.
"""

NOTHING = """
I'll stop by at two.
Can I stop by at two to pick it up?
Cancel my appointment.
Please cancel my order and refund me.
Don't call me before nine.
Please don't call me after six.
Do not call me at night, call in the morning.
Don't call me today, call me tomorrow.
Don't call me so early.
Stop calling me before nine.
I'll call again.
I will call you back later.
Don't call me, I'll call you.
I won't call again.
I will never call again.
Call me again tomorrow.
Could you call me again at five?
You never call me anymore!
My kids never call me again after Christmas.
They don't call me anymore.
Please don't stop calling me.
I didn't ask you to stop calling.
I don't want you to stop calling.
Why did you stop calling me?
When did you stop calling people?
Did you remove my number?
Please don't take me off your list.
You don't need to take me off your list.
Take me off the waiting list for Tuesday.
Take me off your waiting list.
Please take my name off the guest list.
Remove my number from the reservation and use my wife's.
Put me on your mailing list.
Put me on the list.
Take me off speaker.
Take me off hold.
Take me to the airport.
My bank won't stop calling me.
How do I get my ex to stop calling me?
Can you tell them to stop calling?
She asked him to stop texting her.
Stop calling me sir.
Don't call me a liar.
Don't call me that.
What number should I call?
No more questions.
No, no more coffee for me.
We had no more calls after that.
I have no more messages on my phone.
I'm not interested.
No, thank you. I'm not interested.
Not interested, thanks. Goodbye.
I'm really not interested in this.
That's not for me.
Wrong number.
Who is this?
Stop.
Stop, wait, say that again.
Hold on, stop talking for a second.
I don't want to reschedule.
I don't want any more sugar.
I'd like to stop the delivery.
Please stop my subscription at the end of the month.
Remove the extra cheese.
Delete my last message.
Let me take that off the list: milk, eggs.
The list is too long.
No one called me.
Nobody calls me on weekends.
Don't forget to call me.
Don't hesitate to call me.
Why don't you call me tomorrow?
Don't you want to call me back?
Can't you call me again on Friday?
If you call me again tomorrow I'll have the details.
I never got a call.
Don't text me the address, just tell me now.
Please text me again.
He does not call here.
No me llame antes de las nueve.
Llámeme más tarde.
Yo le llamo mañana.
No deje de llamarme.
Quíteme de la lista de espera.
Quiero cancelar mi cita.
No me llame tan temprano.
Nunca dejen de llamarme.
Mis hijos ya no me llaman.
Ne m'appelez pas avant neuf heures.
Je vous rappelle plus tard.
Appelez-moi plus tard.
Il ne m'appelle plus.
Retirez-moi de la liste d'attente.
N'arrêtez pas de m'appeler.
Je voudrais annuler mon rendez-vous.
Rappelez-moi demain.
Rufen Sie mich nicht vor neun an.
Rufen Sie mich bitte morgen wieder an.
Rufen Sie mich später noch einmal an.
Ich rufe später wieder an.
Ich rufe nicht mehr an.
Er ruft mich nie mehr an.
Nehmen Sie mich von der Warteliste.
Ich möchte meinen Termin absagen.
Hören Sie bitte nicht auf, mich anzurufen.
Ich möchte keine Milch mehr.
"""


def lines(table: str) -> list[str]:
    return table.strip().splitlines()


@pytest.mark.parametrize("text", lines(CERTAIN))
def test_a_refusal_is_certain(text: str):
    refusal = find_refusal(text)

    assert refusal is not None
    assert (refusal.confidence, refusal.needs_confirmation) == ("certain", False)


@pytest.mark.parametrize("text", lines(LIKELY))
def test_what_may_be_a_refusal_is_asked(text: str):
    refusal = find_refusal(text)

    assert refusal is not None
    assert (refusal.confidence, refusal.needs_confirmation) == ("likely", True)


@pytest.mark.parametrize("text", lines(NOTHING))
def test_what_only_looks_like_a_refusal_is_none(text: str):
    assert find_refusal(text) is None


@pytest.mark.parametrize("text", [text for text in lines(CERTAIN) if text.isascii()])
def test_case_and_punctuation_do_not_matter(text: str):
    bare = text.upper().replace(",", "").replace(".", "").replace("!", "")

    assert find_refusal(bare) is not None


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("Don't call me again.", "all"),
        ("Stop texting me.", "all"),
        ("Don't call me again, text me instead.", "voice"),
        ("Stop calling me. Texts are fine.", "voice"),
        ("No more texts please. Just call me.", "text"),
        ("Rufen Sie mich nicht mehr an, schreiben Sie mir lieber.", "voice"),
    ],
)
def test_who_welcomes_the_other_channel_refuses_only_one(text: str, scope: str):
    refusal = find_refusal(text)

    assert refusal is not None
    assert refusal.scope == scope


def test_a_certain_refusal_wins_over_a_likely_one():
    refusal = find_refusal("Don't call me. I mean it, take me off your list.")

    assert refusal is not None
    assert refusal.phrase == "en.certain.off_the_list"
    assert refusal.words == "take me off your"


@pytest.mark.parametrize("text", ["", "   ", "...", "¿?", "🙂", "a" * 5000])
def test_no_words_are_no_refusal(text: str):
    assert find_refusal(text) is None


def test_a_long_turn_does_not_hold_up_the_audio():
    long = "well you know I was going to call the shop about the order we made " * 40
    find_refusal(long)

    begun = time.thread_time()  # processor time: others may be at work on this machine
    find_refusal(long)

    assert time.thread_time() - begun < 0.25  # thousands of characters; a turn has a hundred


@pytest.mark.parametrize("language", ["en-GB", "es", "fr", "de", "xx"])
def test_there_are_words_to_answer_with(language: str):
    assert acknowledgement(language).endswith(".")
    assert question(language).endswith("?")
