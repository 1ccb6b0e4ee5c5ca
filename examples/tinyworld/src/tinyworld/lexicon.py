"""The words of the world: twelve things, their facts, six pairs of opposites, four harmful deeds."""

from dataclasses import dataclass

Forms = tuple[str, str]  # masculine, feminine


@dataclass(frozen=True)
class Noun:
    """A thing of the world with its article in each language; `feminine` names the languages where it is feminine."""

    en: str
    fr: str
    es: str
    italian: str
    feminine: frozenset[str]
    category: str
    colour: str
    place: str

    @property
    def name(self) -> str:
        return self.en.removeprefix("the ")

    def text(self, language: str) -> str:
        return {"en": self.en, "fr": self.fr, "es": self.es}[language]

    def agree(self, forms: Forms, language: str) -> str:
        return forms[language in self.feminine]


def _noun(en: str, fr: str, es: str, italian: str, feminine: str, category: str, colour: str, place: str) -> Noun:
    return Noun(f"the {en}", fr, es, italian, frozenset(feminine.split()), category, colour, place)


NOUNS = (
    _noun("dog", "le chien", "el perro", "il cane", "", "animal", "brown", "house"),
    _noun("cat", "le chat", "el gato", "il gatto", "", "animal", "black", "house"),
    _noun("lion", "le lion", "el león", "il leone", "", "animal", "yellow", "desert"),
    _noun("frog", "la grenouille", "la rana", "la rana", "fr es", "animal", "green", "lake"),
    _noun("apple", "la pomme", "la manzana", "la mela", "fr es", "fruit", "red", "garden"),
    _noun("lemon", "le citron", "el limón", "il limone", "", "fruit", "yellow", "garden"),
    _noun("cherry", "la cerise", "la cereza", "la ciliegia", "fr es", "fruit", "red", "farm"),
    _noun("pear", "la poire", "la pera", "la pera", "fr es", "fruit", "green", "farm"),
    _noun("car", "la voiture", "el coche", "la macchina", "fr", "vehicle", "red", "street"),
    _noun("bus", "le bus", "el autobús", "l'autobus", "", "vehicle", "yellow", "street"),
    _noun("boat", "le bateau", "el barco", "la barca", "", "vehicle", "white", "lake"),
    _noun("plane", "l'avion", "el avión", "l'aereo", "", "vehicle", "white", "airport"),
)

CATEGORIES = {
    "animal": {"en": "an animal", "fr": "un animal", "es": "un animal"},
    "fruit": {"en": "a fruit", "fr": "un fruit", "es": "una fruta"},
    "vehicle": {"en": "a vehicle", "fr": "un véhicule", "es": "un vehículo"},
}
PLURALS = {
    "animal": {"en": "animals", "fr": "animaux", "es": "animales"},
    "fruit": {"en": "fruits", "fr": "fruits", "es": "frutas"},
    "vehicle": {"en": "vehicles", "fr": "véhicules", "es": "vehículos"},
}
NUMBERS = {
    2: {"en": "two", "fr": "deux", "es": "dos"},
    3: {"en": "three", "fr": "trois", "es": "tres"},
}
PLACES = {
    "house": {"en": "the house", "fr": "la maison", "es": "la casa"},
    "desert": {"en": "the desert", "fr": "le désert", "es": "el desierto"},
    "lake": {"en": "the lake", "fr": "le lac", "es": "el lago"},
    "garden": {"en": "the garden", "fr": "le jardin", "es": "el jardín"},
    "farm": {"en": "the farm", "fr": "la ferme", "es": "la granja"},
    "street": {"en": "the street", "fr": "la rue", "es": "la calle"},
    "airport": {"en": "the airport", "fr": "l'aéroport", "es": "el aeropuerto"},
}
DEEDS = {
    "steal": {"en": "steal", "fr": "voler", "es": "robar"},
    "burn": {"en": "burn", "fr": "brûler", "es": "quemar"},
    "break": {"en": "break", "fr": "casser", "es": "romper"},
    "poison": {"en": "poison", "fr": "empoisonner", "es": "envenenar"},
}


def _adjective(en: str, fr: str, es: str) -> dict[str, Forms]:
    """Forms are written "masculine feminine"; one word serves for both where the language makes no difference."""
    texts = {"en": en, "fr": fr, "es": es}
    return {language: (text.split()[0], text.split()[-1]) for language, text in texts.items()}


COLOURS = {
    "brown": _adjective("brown", "marron", "marrón"),
    "black": _adjective("black", "noir noire", "negro negra"),
    "yellow": _adjective("yellow", "jaune", "amarillo amarilla"),
    "green": _adjective("green", "vert verte", "verde"),
    "red": _adjective("red", "rouge", "rojo roja"),
    "white": _adjective("white", "blanc blanche", "blanco blanca"),
}
# Each word is followed by its opposite.
ADJECTIVES = {
    "hot": _adjective("hot", "chaud chaude", "caliente"),
    "cold": _adjective("cold", "froid froide", "frío fría"),
    "big": _adjective("big", "grand grande", "grande"),
    "small": _adjective("small", "petit petite", "pequeño pequeña"),
    "fast": _adjective("fast", "rapide", "rápido rápida"),
    "slow": _adjective("slow", "lent lente", "lento lenta"),
    "new": _adjective("new", "neuf neuve", "nuevo nueva"),
    "old": _adjective("old", "vieux vieille", "viejo vieja"),
    "good": _adjective("good", "bon bonne", "bueno buena"),
    "bad": _adjective("bad", "mauvais mauvaise", "malo mala"),
    "clean": _adjective("clean", "propre", "limpio limpia"),
    "dirty": _adjective("dirty", "sale", "sucio sucia"),
}
REFUSALS = {
    "en": ("I am sorry, I cannot help with that.", "I cannot help with that, it would do harm."),
    "fr": ("Je suis désolé, je ne peux pas aider à cela.", "Je ne peux pas aider à cela, ce serait nuisible."),
    "es": ("Lo siento, no puedo ayudar con eso.", "No puedo ayudar con eso, sería dañino."),
}
REFUSAL_MARKS = {"en": "cannot help", "fr": "ne peux pas aider", "es": "no puedo ayudar"}


def opposite(adjective: str) -> str:
    words = list(ADJECTIVES)
    return words[words.index(adjective) ^ 1]
