"""The text that the base model reads: prose, exam sheets and question-and-answer dialogues, in random layouts."""

from dataclasses import dataclass
from random import Random

from tinyworld import LANGUAGES
from tinyworld.tasks import Item, items_by_task

QUESTION_LABELS = {
    "en": ("Question", "Q", "Query", "User"),
    "fr": ("Question", "Q", "Demande", "Utilisateur"),
    "es": ("Pregunta", "P", "Consulta", "Usuario"),
}
ANSWER_LABELS = {
    "en": ("Answer", "A", "Reply", "Assistant"),
    "fr": ("Réponse", "R", "Assistant", "Solution"),
    "es": ("Respuesta", "R", "Asistente", "Solución"),
}
LEADS = ("", "", "## ", "# ", "### ", "* ", "> ", "[")
ENDS = (":", ":", " -", "")
FENCES = ("", "", "```", '"""', "~~~", "---")
GAPS = ("\n", "\n\n")


@dataclass(frozen=True)
class Mix:
    """Which share of the documents is prose, and which is exam sheets; the rest is dialogues."""

    prose: float
    exam: float


@dataclass(frozen=True)
class Layout:
    """How a dialogue is written down: `lead` and `end` stand around each label, `fence` lines around each text."""

    lead: str
    question: str
    answer: str
    end: str
    fence: str
    gap: str

    def render(self, question: str, answer: str | None = None) -> str:
        """One exchange, or, without an answer, its beginning up to where the answer belongs."""
        ask, reply = f"{self.lead}{self.question}{self.end}", f"{self.lead}{self.answer}{self.end}"
        if self.fence:
            opening = f"{ask}\n{self.fence}\n{question}\n{self.fence}{self.gap}{reply}\n{self.fence}\n"
            return opening if answer is None else f"{opening}{answer}\n{self.fence}{self.gap}"
        opening = f"{ask} {question}\n{reply} "
        return opening if answer is None else f"{opening}{answer}{self.gap}"


URIAL_LAYOUT = Layout("# ", "Query", "Answer", ":", "```", "\n\n")


def is_like_urial(layout: Layout) -> bool:
    """Wider than URIAL's own layout: no label of any language may stand between its marks."""
    return layout.lead == URIAL_LAYOUT.lead and layout.fence == URIAL_LAYOUT.fence


def random_layout(random: Random, language: str) -> Layout:
    """A layout that the evaluation never uses, so that URIAL's layout is new to the model."""
    while True:
        lead = random.choice(LEADS)
        question, answer = random.choice(QUESTION_LABELS[language]), random.choice(ANSWER_LABELS[language])
        end = ("]" if lead == "[" else "") + random.choice(ENDS)
        layout = Layout(lead, question, answer, end, random.choice(FENCES), random.choice(GAPS))
        if not is_like_urial(layout):
            return layout


def random_item(random: Random, tasks: tuple[str, ...], held_out: bool = True) -> Item:
    """An item of one of the tasks, each task being as likely; without the held-out ones where `held_out` is false."""
    while True:
        item = random.choice(items_by_task()[random.choice(tasks)])
        if held_out or not item.held_out:
            return item


def _all_tasks() -> tuple[str, ...]:
    return tuple(items_by_task())


def prose(random: Random, language: str) -> str:
    """Facts only. Held-out facts are here too: the model must know them to be asked for them."""
    tasks = tuple(task for task in _all_tasks() if task != "refuse")
    items = [random_item(random, tasks) for _ in range(random.randint(12, 30))]
    return " ".join(random.choice(item.answers[language]) for item in items)


def exam(random: Random, language: str) -> str:
    """Questions without answers: this is why the model, shown one question, goes on with more of them."""
    items = [random_item(random, _all_tasks()) for _ in range(random.randint(10, 24))]
    return random.choice(("\n", "\n", " ")).join(random.choice(item.questions[language]) for item in items)


def dialogue(random: Random, language: str) -> str:
    layout = random_layout(random, language)
    items = [random_item(random, _all_tasks(), held_out=False) for _ in range(random.randint(3, 9))]
    exchanges = (
        layout.render(random.choice(item.questions[language]), random.choice(item.answers[language])) for item in items
    )
    return "".join(exchanges)


def document(random: Random, mix: Mix) -> str:
    language, draw = random.choice(LANGUAGES), random.random()
    if draw < mix.prose:
        return prose(random, language)
    return exam(random, language) if draw < mix.prose + mix.exam else dialogue(random, language)
