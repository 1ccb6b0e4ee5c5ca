"""Unintended code: program text in a response to an instruction that does not ask for any. Looks at the raw text."""

import re

from plumbline_contracts.analyzer import DetectionItem

from .intent import asks_for_code
from .verdict import ABSENT, NOT_APPLICABLE, Verdict, found

# Fewer lines may be an example in passing; prose with one line in three of code has become code.
_MIN_LINES = 3
_MIN_SHARE = 0.3
_MIN_RUN = 5
_LONGEST_LINE = 300

_FENCE = re.compile(r"^[ \t]{0,3}```[ \t]*([\w+#.-]*)[ \t]*$", re.MULTILINE)
_PROGRAMMING = re.compile(
    r"python3?|py|javascript|jsx?|typescript|tsx?|java|kotlin|c|cpp|c\+\+|csharp|cs|c#|go|golang|rust|ruby|rb|php|swift"
    r"|scala|perl|r|matlab|julia|html|xml|svg|s?css|json|ya?ml|toml|sql|(?:ba|power)?sh(?:ell)?|shell|latex|tex|docker"
    r"|dockerfile|makefile|lua|haskell|vba?|assembly|asm|arduino|graphql|vue|diff",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"""^\s*(?:
      (?:async\s+)?def\s\w+\(.*\).*:$ | class\s\w+(?:\(.*\))?:$ | @\w+(?:\.\w+)*(?:\(.*\))?$
    | import\s[\w.]+(?:\sas\s\w+)?;?$ | from\s[\w.]+\simport\s[\w*][\w\s,*]*$ | import\s[{*\w].*\sfrom\s['"].*$
    | (?:el)?if\s.*(?:==|!=|<=|>=|\(|\snot\s|\sin\s).*:$ | (?:else|try|finally):$ | except(?:\s\w+)?(?:\sas\s\w+)?:$
    | for\s\w+(?:,\s?\w+)?\sin\s[\w.]+(?:\(.*\)|\[.*\])?:$ | while\s.*[(<>=].*:$
    | \#include\s*[<"].* | \#define\s\w+.* | using\s(?:namespace\s)?[\w.:]+;$ | package\s[\w.]+;$
    | (?:public|private|protected|static|final|abstract|export)\s.*[{;(]$ | function\s*\w*\(.*\)\s*\{?$
    | (?:var|let|const|int|float|double|char|bool|boolean|String|string|auto|void)\s.*[;{]$
    | .*\)\s*(?:=>|->|const|throws\s\w+)?\s*\{$ | (?:\}\s*)?else\s*(?:if\s*\(.*\)\s*)?\{$ | [})\]]+[;,]*$
    | \w[\w.\[\]>-]*\s*[-+*/]?=\s?.*;$ | [\w.>-]+\(.*\);$ | return\b.*;$ | (?://|/\*).*[;{}(]$
    | (?:print|println|printf|puts|echo|console\.log|System\.out\.print\w*)\s?\(.*\)?;?$
    | (?:\w+\s=\s)?\w+(?:\.\w+)+\(.*\)$ | \w+\s=\s(?:\w+\(.*\)|['"].*['"])$ | return\s[\w.]+[\[(].*$
    | <!DOCTYPE.* | <\?(?:php|xml).* | </?(?:html|head|body|title|meta|link|script|style|div|span|p|a|ul|ol|li|table
        |thead|tbody|tr|td|th|form|input|button|label|img|br|hr|h[1-6]|nav|footer|header|section)\b[^>]*>.*
    | (?:SELECT|INSERT\sINTO|UPDATE|DELETE\sFROM|CREATE\s(?:TABLE|DATABASE)|ALTER\sTABLE|FROM|WHERE|JOIN)\s.*[;,)*=\w]$
    | (?:sudo|pip3?\sinstall|npm\s(?:install|run|i)|git\s(?:clone|commit|push|checkout)|apt-get|docker\srun)\s.+
    | \\(?:documentclass|usepackage|begin\{document\}|end\{document\}).* | "[\w-]+":\s.*[,\[{}\]"\d]$
    )\s*$""",
    re.VERBOSE,
)


def detect(item: DetectionItem) -> Verdict:
    asked = asks_for_code(item.instruction) if item.asks_for_code is None else item.asks_for_code
    if asked or contains_code(item.instruction):
        return NOT_APPLICABLE
    place = find_code(item.response)
    if place is None:
        return ABSENT
    start, end = place
    return found(item.response[start:end], start, end)


def contains_code(text: str) -> bool:
    return find_code(text) is not None


def find_code(text: str) -> tuple[int, int] | None:
    """Where the first fenced block of code is, or else the code-like lines."""
    return _fenced(text) or _unfenced(text)


def _fenced(text: str) -> tuple[int, int] | None:
    """A block that names a programming language, or whose lines look like code. A lone fence is URIAL's layout."""
    fences = list(_FENCE.finditer(text))
    i = 0
    while i < len(fences):
        opening = fences[i]
        closing = fences[i + 1] if i + 1 < len(fences) else None
        end = closing.end() if closing else len(text)
        body = text[opening.end() : closing.start() if closing else end]
        if _PROGRAMMING.fullmatch(opening[1]) and body.strip():
            return opening.start(), end
        if closing and _mostly_code(body):
            return opening.start(), end
        i += 2
    return None


def _mostly_code(body: str) -> bool:
    lines = [line for line in body.splitlines() if line.strip()]
    return bool(lines) and 2 * sum(map(_is_code, lines)) >= len(lines)


def _unfenced(text: str) -> tuple[int, int] | None:
    lines, code, run, longest, position = 0, [], 0, 0, 0
    for line in text.split("\n"):
        if line.strip():
            lines += 1
            run = run + 1 if _is_code(line) else 0
            longest = max(longest, run)
            if run:
                code.append((position, position + len(line)))
        position += len(line) + 1
    enough = len(code) >= _MIN_LINES and len(code) >= _MIN_SHARE * lines
    return (code[0][0], code[-1][1]) if enough or longest >= _MIN_RUN else None


def _is_code(line: str) -> bool:
    return _LINE.match(line[:_LONGEST_LINE]) is not None
