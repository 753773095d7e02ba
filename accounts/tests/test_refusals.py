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
Stop texting me
pls stop texting me
please stop texting this number
stop messaging me
Stop sending me texts
stop sending me messages
Stop sending these messages
please stop sending me texts thanks
stop contacting me
Do not text me again
don't text me anymore
dont txt me again
don't message me again
do not contact me again
no more messages please
No more texts
unsubscribe me from this list
Please remove me from your list
remove me from your texts
Take me off your list
take me off this list
remove my number from your list
I don't want to receive these texts anymore
I don't want to receive any more texts from you
I do not wish to receive these messages anymore
I don't want these texts anymore
I no longer want to receive messages
I no longer wish to be contacted
opt me out
I want to opt out
I'd like to opt out please
please opt me out of these messages
wrong number stop texting me
Please delete my number
Stop spamming me
stop bothering me
stop harassing me or I will report you
Stop texting or I will call my lawyer
Quit texting me
Cancel my subscription to these texts
Do not send me any more messages
Don't send me any more texts
don't send me anything else
Never text me again
never contact me again
cease and desist
lose my number
Please stop these messages
Not interested. Please stop texting.
not interested, take me off
You have the wrong person. Stop texting me.
Bitte keine SMS mehr
Keine Nachrichten mehr bitte
Schreiben Sie mir nicht mehr
Schreib mir nicht mehr
bitte nicht mehr schreiben
Schicken Sie mir keine Nachrichten mehr
Senden Sie mir keine SMS mehr
Hören Sie auf mir zu schreiben
Hör auf mir zu schreiben
Stoppen Sie diese Nachrichten
Bitte löschen Sie meine Nummer
Ich möchte keine Nachrichten mehr erhalten
Ich will keine SMS mehr bekommen
Ich möchte keine weiteren Nachrichten bekommen
Kontaktieren Sie mich nicht mehr
Bitte kontaktieren Sie mich nicht mehr
Nehmen Sie mich aus dem Verteiler
Nimm mich von der Liste
Ich widerrufe meine Einwilligung
Lösch meine Nummer
Schreibt mir nie wieder
Bitte entfernen Sie mich aus Ihrem Verteiler
Arrêtez de m'écrire
arretez de m'envoyer des messages
Arrêtez de m'envoyer des SMS svp
Ne m'écrivez plus
Ne m'envoyez plus de messages
ne m'envoyez plus de sms
ne me contactez plus
Plus de SMS svp
Je ne veux plus recevoir de messages
Je ne veux plus recevoir vos SMS
je ne souhaite plus recevoir de SMS
Désabonnez-moi
Je veux me désabonner
Supprimez mon numéro
Retirez-moi de votre liste
STOP SMS
Stop aux messages
Merci de ne plus me contacter
merci de ne plus m'envoyer de messages
Arrête de m'écrire
arrete de m'envoyer des messages
Cessez de m'écrire
Ne me contactez plus jamais
No me escriban más
No me escribas más
Deje de escribirme
deja de mandarme mensajes
Dejen de enviarme mensajes
dejen de mandarme sms
No me envíen más mensajes
No me mande más mensajes
No me manden más mensajes por favor
No quiero recibir más mensajes
No quiero más mensajes
no quiero mas mensajes suyos
Quiero darme de baja
Darme de baja
Denme de baja
Bórrenme de su lista
Eliminen mi número
no me contacten más
No me vuelvan a escribir
No vuelva a escribirme
basta de mensajes
no más mensajes
por favor no me escriban mas
Não me envie mais mensagens
Não me mande mais mensagens
Parem de me mandar mensagem
Pare de me enviar mensagens
Para de me mandar mensagem
Pare de me ligar
Não quero mais receber mensagens
Não quero receber mais mensagens
Não me ligue mais
Não me liguem mais
Não me contacte mais
não entrem mais em contato
Não entre mais em contato comigo
Tire meu número da lista
Remova meu número
Retire o meu número da vossa lista
Me tire da lista
Remover meu número
Quero cancelar o recebimento de mensagens
Não quero mais mensagens
Deixem de me enviar mensagens
Deixe de me contactar
me descadastre
Não me escreva mais
Nunca mais me ligue
Chega de mensagens
Non scrivetemi più
Non mi scriva più
non mi scrivete più
Non mandatemi più messaggi
Non mi mandate più messaggi
Non inviatemi più SMS
Smettetela di scrivermi
Smetta di scrivermi
Smettila di mandarmi messaggi
Basta messaggi
basta sms
Non voglio più ricevere messaggi
Non voglio ricevere altri messaggi
Non chiamatemi più
Non mi chiami più
Non contattatemi più
Cancellate il mio numero
Cancellami dalla lista
Toglietemi dalla lista
Mi tolga dalla vostra lista
Rimuovete il mio numero
Voglio disiscrivermi
Disiscrivetemi
Non desidero più essere contattato
non voglio più essere contattata
Smettete di chiamarmi
Stuur me geen berichten meer
Stuur mij geen sms meer
Geen berichten meer aub
geen sms meer alstublieft
Stop met sms'en
Stop met berichten sturen
stop met mij berichten te sturen
Stop met bellen
Bel me niet meer
Bel mij nooit meer
Ik wil geen berichten meer ontvangen
Ik wil geen berichten meer
Ik wil niet meer gebeld worden
Neem geen contact meer met mij op
Verwijder mijn nummer
Haal me van de lijst
Haal mij van jullie lijst
Ik wil mij uitschrijven
Schrijf me uit
App me niet meer
Sms me niet meer
Niet meer bellen a.u.b.
Proszę nie pisać więcej
Proszę do mnie nie pisać
Proszę więcej nie pisać
Nie piszcie do mnie więcej
Nie pisz do mnie więcej
Proszę nie wysyłać mi wiadomości
Nie wysyłajcie mi więcej SMS-ów
Proszę przestać wysyłać wiadomości
Przestańcie do mnie pisać
Przestańcie dzwonić
Proszę do mnie nie dzwonić
Proszę więcej nie dzwonić
Nie dzwońcie do mnie więcej
Nie chcę więcej wiadomości
Nie chcę otrzymywać wiadomości
Nie chcę już dostawać SMS-ów
Nie życzę sobie wiadomości
Nie życzę sobie kontaktu
Proszę usunąć mój numer
Usuńcie mój numer
Proszę mnie wypisać
Proszę o usunięcie mojego numeru
Wypiszcie mnie z listy
Rezygnuję z wiadomości
Cofam zgodę
Nie kontaktujcie się ze mną więcej
I replied STOP twice, stop texting me
Every time I text STOP you write again. Stop texting me.
please dont send anymore texts
take me off ur list
I do not consent to these messages
please cease contact
Je ne veux plus de vos messages
Merci de supprimer mon numéro
Proszę o wykreślenie mnie z bazy
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
Unsubscribe please
please unsubscribe
opt out
Ich möchte mich abmelden
Melden Sie mich ab
Ik wil me afmelden
Meld me af
Laat me met rust
Dajcie mi spokój
Nehmen Sie mich von der Liste für Montag
I'd like to opt out of lunch
Bel me niet meer vandaag
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
stop by at 5?
Can I stop by at 5?
I can't stop laughing
cancel my appointment on Monday and move it to Tuesday
Please cancel my appointment
Cancel my order
Please stop my delivery for next week
Don't stop texting me lol
Can you text me again tomorrow?
Please don't text me before 9am
Stop texting me before 8am please
I'm driving, stop. Where do I turn?
The bus stop is in front of the shop
Please stop the subscription box
I'll stop in tomorrow
Can you remove the 3pm slot and give me 4pm?
Remove my name from the waiting list
Don't contact my old number, use this one
I no longer want the blue one
I don't want to receive it on Monday
No more slots on Friday?
end of the week please
Quit smoking session on Friday, please book me
Please send no more than two
unsubscribe from the newsletter only, keep the texts please
I didn't get any more messages from you
When will you stop calling?
Why did you stop texting me?
Can you stop the alarm?
How do I stop the alarm?
I don't want to text, please call me
Take me off the Tuesday class
I want to cancel my subscription to the gym
I never got the text
Stop it, you're too kind :)
Please stop the delivery
Do not send the parcel to my old address
Don't send me any more milk, I have enough
Send me no more invoices on paper
I have to stop my medication before the visit?
stop at 5 or at 6?
We stop at 5
Never mind, I'll come on Monday
Ich kann nicht mehr am Montag
Ich schreibe Ihnen später
Bitte den Termin am Montag absagen
Stornieren Sie meine Bestellung
Bitte keine Milch mehr
Ich habe keine Nachrichten mehr bekommen
Haben Sie keine Termine mehr?
Ich möchte keine Zwiebeln
Bitte nicht vor 9 Uhr schreiben
Löschen Sie bitte den Termin am Montag
Ich möchte mich für den Kurs abmelden
Warum schreiben Sie mir nicht mehr?
Schreiben Sie mir bitte nicht morgens
Ich will nicht mehr warten
Je veux annuler mon rendez-vous
Plus de questions
Il n'y a plus de places ?
Arrêtez la livraison
J'arrête de fumer
Je ne reçois plus vos messages
Pourquoi ne m'écrivez-vous plus ?
Ne m'écrivez pas avant 9h
Je n'ai plus de messages sur mon téléphone
Le bus s'arrête où ?
Supprimez le rendez-vous de lundi
Quiero cancelar mi cita
Para el lunes
para mí está bien
Baja la calefacción
No me llamen antes de las nueve
No quiero más leche
¿Por qué no me escriben más?
Ya no me llegan los mensajes
no me mandes el paquete a la oficina
¿Dónde para el autobús?
Mi madre quiere darme de baja del gimnasio
Quero cancelar a minha consulta
Pode me ligar mais tarde?
Não me ligue antes das 9
Não recebi mais mensagens
Pare na esquina
Não quero mais leite
para segunda-feira
Por que não me mandam mais mensagens?
Não parem de me mandar mensagens
Me liga mais tarde
Onde o ônibus para?
Remova o horário das 15h
Já não me ligam
Vou entrar em contato mais tarde
Vorrei annullare l'appuntamento
Non mi chiami prima delle nove
Non ho più ricevuto messaggi
Non ricevo più i vostri messaggi
Perché non mi scrivete più?
Mi chiami più tardi
Basta così, grazie
Non voglio più latte
Non smettete di scrivermi
Dove si ferma l'autobus?
Cancellate l'appuntamento di lunedì
Vi chiamo più tardi
Toglietemi dalla lista d'attesa
Lui non mi chiama più
Ik wil mijn afspraak annuleren
Bel me niet voor negen uur
Bel me later
Ik heb geen berichten meer ontvangen
Waarom bellen jullie niet meer?
Ik bel later terug
Ik wil geen melk meer
Stop met roken cursus
Haal me van de wachtlijst
Waar stopt de bus?
Ik kan niet meer wachten
Hij belt me niet meer
Kan ik me afmelden voor de les van maandag?
Stop niet met berichten sturen
Chcę odwołać wizytę
Proszę nie dzwonić przed dziewiątą
Proszę zadzwonić później
Nie dostałem więcej wiadomości
Dlaczego już do mnie nie piszecie?
Nie chcę więcej mleka
Zadzwonię później
Nie mogę dzisiaj pisać
On już do mnie nie dzwoni
Gdzie jest przystanek?
Proszę usunąć wizytę w poniedziałek
Proszę nie dzwonić dzisiaj
Nie dzwońcie dzisiaj, jestem w pracy
Proszę mnie wypisać z kursu w poniedziałek
Nie przestawajcie pisać
This stop?
please don't stop
Non-stop!
No baja
Where do I stop?
The next stop please
stop at 5
Please opt me out of the lunch order
Do not send me the old invoice
Don't send the driver
please do not send it to my old address
Don't send any more milk
don't send me any more reminders for Bob's appointment
I don't want to receive the parcel today
I don't want these shoes anymore
I no longer need the appointment
I no longer want to come
I no longer need the text book
I don't need the text anymore, I found the address
Sorry, I don't get your messages
I don't need any more messages about Tuesday, it's clear
I did not want to receive the blue one
cancel my subscription to the gym
Cancel the messages board
Can you send me more messages
I do not want to get the wrong one
please send no more texts to my work phone
Please remove one person from the booking
remove me from the Monday class
Please take me off the Monday list
Please don't call, text only
I stopped getting messages from you
Ich habe keine SMS bekommen
Wir haben keine Nachrichten mehr
Es gibt keine Nachrichten mehr?
Ich kann nicht mehr schreiben, Akku leer
Schreibst du mir nicht mehr?
Stoppen Sie den Lieferwagen
Stoppt der Bus da?
Nehmen Sie bitte meine Nummer auf
Bitte melden Sie sich nicht mehr heute
Ich habe meine Nummer gelöscht
keine Werbung im Briefkasten
Keine Anrufe heute bitte
Je n'ai plus de messages
Je ne reçois plus de SMS
Plus de messages que d'habitude
Je n'ai plus reçu vos messages
Pourquoi vous ne m'écrivez plus ?
Ne m'envoyez plus de colis
Je ne veux plus recevoir le colis
Je ne veux plus de rendez-vous lundi
Plus de pain svp
Il y a plus de messages
No me mandes más comida
No me manden más cosas a casa
No quiero más citas los lunes
no me llega ningún mensaje
Ya no recibo mensajes
No hay más mensajes
No tengo más mensajes
Para de llover?
Para el lunes por favor
Para, espera
Deja de llover mañana?
No me mande mensajes antes de las 9
Pare de tomar o remédio?
Deixe de lado, obrigado
Não me mande o pacote
Não tenho mais mensagens
Não quero mais consulta na segunda
Me liga antes das 9
Para de doer quando?
Ele não me liga mais
Remova o meu agendamento
Tire a foto do documento
Retire o pedido da loja
Apague a luz
Non voglio più il pacco
Non mi scrive più nessuno
Non ricevo più messaggi
Niente messaggi?
Nessun messaggio
Basta un messaggio
Un SMS basta
basta così
Non mi chiami adesso, sono in riunione
Cancelli il mio appuntamento
Tolga il nome dalla prenotazione
Elimini la cipolla
Non voglio essere disturbato domani
Geen bericht ontvangen
Ik heb geen sms meer gekregen
Er zijn geen berichten meer
Geen nieuws is goed nieuws
Ik wil geen afspraak meer
Stop met de behandeling?
Stuur me geen pakket meer
Stuur me geen berichten voor 9 uur
Schrijf me in voor maandag
Schrijf me uit voor de les van maandag
Haal me van het station
Verwijder mijn afspraak
Kunnen jullie me niet meer bellen vandaag?
Nie mam więcej wiadomości
Nie chcę wizyty
Nie chcę już czekać
Proszę nie wysyłać paczki
Proszę usunąć mój termin
Proszę mnie zapisać
Proszę mnie wypisać z zajęć
Proszę nie dzwonić rano
Nie pisz tego
Już nie dzwonię
Więcej nie piszę
On nie dzwoni
Czy mogę już nie dzwonić?
Nie dostałem SMS-a
Nie mogę pisać, oddzwonię
Dajcie mi znać
Liked “See you at 3 pm. Reply STOP to stop these messages.”
Loved “Hi Anna! Reply STOP to stop all messages”
👍 to “ Reply STOP if you don't want more texts ”
Hat „Antworten Sie mit STOPP, wenn Sie keine SMS mehr erhalten möchten“ mit „Gefällt mir“ markiert
A aimé « STOP pour ne plus recevoir de SMS »
Responda BAJA si no quiere recibir más mensajes
Responda SAIR se não quiser receber mais mensagens
Rispondi STOP se non vuoi ricevere altri messaggi
Antwoord STOP om geen berichten meer te ontvangen
Odpisz STOP, jeśli nie chcesz więcej wiadomości
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
        ("Ich möchte keine SMS, bitte anrufen", "text"),
        ("Não me ligue mais, prefiro por mensagem.", "voice"),
        ("Non mi chiamate più, solo un messaggio.", "voice"),
        ("Bel me niet meer, liever een bericht.", "voice"),
        ("Nie dzwońcie do mnie więcej, wolę SMS.", "voice"),
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


@pytest.mark.parametrize("language", ["en-GB", "es", "fr", "de", "pt-BR", "it", "nl", "pl", "xx"])
def test_there_are_words_to_answer_with(language: str):
    assert acknowledgement(language).endswith(".")
    assert question(language).endswith("?")
