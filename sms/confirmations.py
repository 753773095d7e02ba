"""What a person is told, once, who asked not to be contacted in a way the carrier does not know."""

_TEXTS = {
    "en": "You will not hear from us again, by text or by phone. Reply START to undo this.",
    "es": "No volveremos a escribirle ni a llamarle. Responda START para deshacerlo.",
    "fr": "Nous ne vous contacterons plus, ni par SMS ni par téléphone. Répondez START pour "
    "annuler.",
    "de": "Sie hören nicht mehr von uns, weder per SMS noch am Telefon. Mit START machen Sie das "
    "rückgängig.",
    "pt": "Não voltaremos a contactá-lo, nem por SMS nem por telefone. Responda START para anular.",
    "it": "Non la contatteremo più, né per SMS né per telefono. Risponda START per annullare.",
    "nl": "U hoort niet meer van ons, niet per sms en niet per telefoon. Met START maakt u dit "
    "ongedaan.",
    "pl": "Nie będziemy się już kontaktować, ani SMS-em, ani telefonicznie. START cofa tę decyzję.",
}
_NO_TEXTS = {
    "en": "We will not text you again. Reply START to undo this.",
    "es": "No volveremos a escribirle. Responda START para deshacerlo.",
    "fr": "Nous ne vous enverrons plus de SMS. Répondez START pour annuler.",
    "de": "Sie bekommen keine SMS mehr von uns. Mit START machen Sie das rückgängig.",
    "pt": "Não voltaremos a enviar-lhe SMS. Responda START para anular.",
    "it": "Non le invieremo più SMS. Risponda START per annullare.",
    "nl": "U krijgt geen sms meer van ons. Met START maakt u dit ongedaan.",
    "pl": "Nie będziemy już wysyłać SMS-ów. START cofa tę decyzję.",
}


def confirmation(language: str, *, texts_only: bool = False) -> str:
    """Return what to answer; English for languages without data."""
    words = _NO_TEXTS if texts_only else _TEXTS
    return words.get(language, words["en"])
