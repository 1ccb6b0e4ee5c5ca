import pytest
from plumbline_analyzer.detectors import code, intent
from plumbline_contracts.analyzer import Finding

PYTHON = "def add(a, b):\n    total = sum([a, b])\n    return total(a)\n\nprint(add(1, 2))"
HTML = "<html>\n<head>\n<title>Hi</title>\n</head>\n<body>\n<p>Hello</p>\n</body>\n</html>"
JAVA = "public class Main {\n  public static void main(String[] args) {\n    System.out.println(1);\n  }\n}"


@pytest.mark.parametrize(
    ("instruction", "response", "language"),
    [
        ("What is the capital of France?", f"Paris.\n\n```python\n{PYTHON}\n```\n", "en"),
        ("What is the capital of France?", f"Paris.\n```\n{PYTHON}\n```", "en"),
        ("What is the capital of France?", f"Paris.\n```java\n{JAVA}", "en"),
        ("Quelle est la capitale de la France ?", f"Paris.\n\n{JAVA}", "fr"),
        ("¿Cuál es la capital de Francia?", HTML, "es"),
        ("Tell me a story.", "Once.\n" + PYTHON, "en"),
        ("Tell me a story.", "SELECT name FROM users;\nINSERT INTO users (name);\nDELETE FROM users;", "en"),
    ],
)
def test_code_that_was_not_asked_for(item, instruction, response, language) -> None:
    verdict = code.detect(item(response, instruction, language))
    assert verdict.finding == Finding.FOUND
    assert response[verdict.start : verdict.end].strip()
    assert len(verdict.evidence) <= 120


def test_a_lone_fence_does_not_hide_a_block(item) -> None:
    assert code.detect(item("Paris.\n```\nMore.\n```python\nx\n```\nEnd.")).finding == Finding.FOUND


def test_json_and_decorators_in_their_place(item) -> None:
    for response in ('{\n"a": 1,\n"b": 2\n}', "@cached\n@other\ndef one(x):\n"):
        assert code.detect(item(response)).finding == Finding.FOUND


HARD_NEGATIVES = {
    "glossary": '"Inception": Released in 2010\n' * 3,
    "vocabulary": '"Hola": "Hello"\n' * 3,
    "equations of words": 'perro = "dog"\n' * 3,
    "handles": "@wanderlust_anna\n" * 3,
    "capitals": "UPDATE ON THE PROJECT\nFROM PARIS WITH LOVE\nWHERE WE STAND",
    "lone closing fence of URIAL": "Paris is the capital of France.\n```",
    "closing fence and next heading": "Paris is the capital of France.\n```\n\n",
    "letter in a fence": "Here you are:\n```\nDear Anna,\nthank you for the book.\nYours, Tom\n```",
    "text in a named fence": "```markdown\n# Title\nSome prose here.\n```",
    "mathematics": "x = 3\ny = 4\nx + y = 7\nf(x) = 2x + 1\nSo f(3) = 7.",
    "sets": "A = {1, 2, 3}\nB = {2, 3, 4}\nC = {3, 4, 5}",
    "french list with semicolons": "Il faut :\n- du beurre ;\n- de la farine ;\n- trois œufs ;\n- du sucre (roux) ;",
    "spanish list with semicolons": "Necesitas:\n- mantequilla;\n- harina;\n- tres huevos;\n- azúcar (moreno);",
    "headings with colons": "For the sauce:\nTomatoes.\nWhile it cooks:\nStir.\nIf you like it hot:\nAdd chilli.",
    "poem": "If you can wait;\nif you can dream (and not make dreams your master);\nreturn to me.",
    "one line in passing": "To stop the program, press Ctrl and C, or type\nexit();\nand wait a moment.\nThat is all.",
    "dialogue": "Anna: Hello!\nTom: Hello (smiling).\nAnna: Shall we go?\nTom: Yes.",
    "emphasis in HTML": "This is <b>very</b> important, and this <i>less</i> so.",
}


@pytest.mark.parametrize("name", HARD_NEGATIVES)
def test_what_looks_like_code_and_is_not(item, name) -> None:
    assert code.detect(item(HARD_NEGATIVES[name])).finding == Finding.ABSENT


@pytest.mark.parametrize(
    "instruction",
    [
        "Write a Python function that adds two numbers.",
        "Fix the given code.",
        "How do I sort a list in JavaScript?",
        "Create a simple HTML page about dogs.",
        "Implement a queue with two stacks.",
        "Écris une fonction qui additionne deux nombres.",
        "Corrige ce code, s'il te plaît.",
        "Écrivez une requête SQL qui compte les clients.",
        "Escribe un programa que sume dos números.",
        "¿Qué hace este código?",
        "Crea una página web sobre perros.",
        "Explain this:\nimport os\nimport sys\nprint(os.path)",
    ],
)
def test_instructions_that_ask_for_code(item, instruction) -> None:
    assert code.detect(item(PYTHON, instruction)).finding == Finding.NOT_APPLICABLE


@pytest.mark.parametrize(
    "instruction",
    [
        "What is the dress code at a wedding?",
        "Design an exercise program for beginners.",
        "Write a script for a video about jazz.",
        "What is the function of the heart?",
        "Who starred in the plot against the king?",
        "Quel est le code postal de Lyon ?",
        "Propose un programme de vacances.",
        "Quelle est la fonction du cœur ?",
        "¿Cuál es el código postal de Sevilla?",
        "Propón un programa de ejercicios.",
        "¿Cuál es la función del corazón?",
    ],
)
def test_instructions_that_do_not(item, instruction) -> None:
    assert not intent.asks_for_code(instruction)


def test_the_caller_knows_better(item) -> None:
    assert code.detect(item(PYTHON, "Help me.", asks_for_code=True)).finding == Finding.NOT_APPLICABLE
    assert code.detect(item(PYTHON, "Dans quelle langue ?", asks_for_code=False)).finding == Finding.FOUND
    # Told that no code was asked for, the words of the instruction no longer count.
    assert code.detect(item(PYTHON, "Is Python a snake?", asks_for_code=False)).finding == Finding.FOUND


@pytest.mark.parametrize(
    ("response", "kind", "severity"),
    [
        (PYTHON, "code", "critical"),
        (HTML, "markup", "critical"),
        ("\\documentclass{article}\n\\begin{document}\nHi.\n\\end{document}", "latex", "critical"),
        ("A long answer in words. " * 20 + "\n```python\nprint(1)\n```", "code", "major"),
    ],
)
def test_kinds_and_severity(item, response, kind, severity) -> None:
    verdict = code.detect(item(response))
    assert (verdict.kind, verdict.severity) == (kind, severity)
