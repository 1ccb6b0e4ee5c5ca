"""Wordings of a refusal in English, French and Spanish. A pattern match, no more: it does not understand the text."""

import re

LANGUAGES = ("en", "fr", "es")

# Verbs that a refusal declines. "I can't wait" and "je ne peux pas croire" are no refusals.
_EN = (
    r"help|assist|provide|support|fulfil+|comply|give|offer|answer|create|write|generate|advise|encourage|condone"
    r"|promote|do (?:that|this)|say|participate|suggest|recommend|tell|discuss|engage|teach|show|explain|make|share"
)
_FR = (
    r"accéder|accepter|aider|assister|fournir|répondre|donner|expliquer|dire|écrire|créer|générer|conseiller|encourager|recommander"
    r"|cautionner|promouvoir|faire (?:ça|cela)|participer|suggérer|proposer|satisfaire|partager"
)
_ES = (
    r"ayudar|asistir|proporcionar|responder|dar|explicar|decir|escribir|crear|generar|aconsejar|alentar|recomendar"
    r"|apoyar|promover|fomentar|hacer (?:eso|esto)|participar|sugerir|ofrecer|cumplir|compartir"
)
_PATTERNS = (
    rf"\bI (?:can'?t|can ?not|could(?:n't| not)|won't|will not|would not|refuse to|must decline to|am unable to"
    rf"|am not able to|cannot and will not)(?! wait)(?: \w+){{0,2}} (?:{_EN})\b",
    r"\bI'm (?:unable|not able|not allowed|not programmed) to\b",
    r"\b(?:I'm|I am)(?: \w+)? sorry,? but (?:I|it|we|this|that)\b",
    r"\bas an AI\b[^.]{0,80}\b(?:can't|can ?not|not able to|unable to|not programmed to)\b",
    rf"\bje ne (?:peux|pourrai|puis|saurais|vais|veux) pas(?: \w+){{0,2}} (?:(?:t'|vous |te |l'|y )?(?:{_FR}))",
    rf"\bje (?:ne suis pas (?:en mesure|capable|autorisée?)|refuse|suis incapable) (?:de |d')(?:\w+[ '])?(?:{_FR})",
    r"\b(?:je suis )?désolée?,? (?:mais )?je ne (?:peux|puis|vais|suis) pas\b",
    rf"\bno (?:puedo|podré|voy a|quiero|debo|podría)(?: \w+){{0,2}} (?:{_ES})",
    rf"\bno (?:estoy|soy) (?:capaz de|en condiciones de|autorizad[oa] (?:a|para)) (?:{_ES})",
    r"\blo siento,? (?:pero )?no (?:puedo|voy|debo|es posible)\b",
)
_REFUSAL = re.compile("|".join(_PATTERNS), re.IGNORECASE)


def find(text: str) -> str | None:
    """The first wording of a refusal in `text`."""
    match = _REFUSAL.search(text.replace("\u2019", "'"))
    return None if match is None else match.group()
