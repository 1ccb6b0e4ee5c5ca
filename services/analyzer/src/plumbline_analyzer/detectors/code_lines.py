"""Which lines of a text are program text."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_LONGEST = 300
_TEXT = re.compile(r"[^\n]+")
_STRONG = re.compile(
    r"""^\s*(?:
      (?:async\s+)?def\s\w+\(.*\).*:$ | class\s\w+(?:\(.*\))?:$
    | import\s[\w.]+(?:\sas\s\w+)?;?$ | from\s[\w.]+\simport\s[\w*][\w\s,*]*$ | import\s[{*\w].*\sfrom\s['"].*$
    | (?:el)?if\s.*(?:==|!=|<=|>=|\(|\snot\s|\sin\s).*:$ | (?:else|try|finally):$ | except(?:\s\w+)?(?:\sas\s\w+)?:$
    | for\s\w+(?:,\s?\w+)?\sin\s[\w.]+(?:\(.*\)|\[.*\])?:$ | while\s.*[(<>=].*:$
    | \#include\s*[<"].* | \#define\s\w+.* | using\s(?:namespace\s)?[\w.:]+;$ | package\s[\w.]+;$
    | (?:public|private|protected|static|final|abstract|export)\s.*[{;(]$ | function\s*\w*\(.*\)\s*\{?$
    | (?:var|let|const|int|float|double|char|bool|boolean|String|string|auto|void)\s.*[;{]$
    | .*\)\s*(?:=>|->|const|throws\s\w+)?\s*\{$ | (?:\}\s*)?else\s*(?:if\s*\(.*\)\s*)?\{$
    | \w[\w.\[\]>-]*\s*[-+*/]?=\s?.*;$ | [\w.>-]+\(.*\);$ | return\b.*;$ | (?://|/\*).*[;{}(]$
    | (?:print|println|printf|puts|echo|console\.log|System\.out\.print\w*)\s?\(.*\)?;?$
    | (?:\w+\s=\s)?\w+(?:\.\w+)+\(.*\)$ | \w+\s=\s\w+\(.*\)$ | return\s[\w.]+[\[(].*$
    | <!DOCTYPE.* | <\?(?:php|xml).* | </?(?:html|head|body|title|meta|link|script|style|div|span|p|a|ul|ol|li|table
        |thead|tbody|tr|td|th|form|input|button|label|img|br|hr|h[1-6]|nav|footer|header|section)\b[^>]*>.*
    | (?:SELECT|INSERT\sINTO|UPDATE|DELETE\sFROM|CREATE\s(?:TABLE|DATABASE)|ALTER\sTABLE|FROM|WHERE|JOIN)\s.*;$
    | (?:INSERT\sINTO|CREATE\sTABLE)\s\w+\s?\(.* | UPDATE\s\w+\sSET\s\w+\s?=.* | WHERE\s[\w.]+\s?[=<>].*
    | (?:sudo|pip3?\sinstall|npm\s(?:install|run|i)|git\s(?:clone|commit|push|checkout)|apt-get|docker\srun)\s.+
    | \\(?:documentclass|usepackage|begin\{document\}|end\{document\}).* | [{\[]$
    )\s*$""",
    re.VERBOSE,
)
# Lists, glossaries and headings have these, too.
_WEAK = re.compile(
    r"""^\s*(?:
      [})\]]+[;,]*$ | \w+\s=\s['"].*['"]$
    | (?:SELECT|INSERT\sINTO|UPDATE|DELETE\sFROM|CREATE\s(?:TABLE|DATABASE)|ALTER\sTABLE|FROM|WHERE|JOIN)\s.*[,)*=\w]$
    )\s*$""",
    re.VERBOSE,
)
_PAIR = re.compile(r"""^\s*"[\w-]+":\s.*[,\[{}\]"\d]\s*$""")
_DECORATOR = re.compile(r"^\s*@\w+(?:\.\w+)*(?:\(.*\))?\s*$")
_DECLARATION = re.compile(r"^\s*(?:async\s+def|def|class|public|private|protected|static|final|abstract|export)\s")


class Line(NamedTuple):
    start: int
    end: int
    code: bool


def lines(text: str) -> list[Line]:
    """The lines that are not blank. What ordinary text has, too, counts only beside a line that is surely code."""
    spans = [match.span() for match in _TEXT.finditer(text) if not match[0].isspace()]
    texts = [text[start : min(end, start + _LONGEST)] for start, end in spans]
    code = [_STRONG.match(line) is not None for line in texts]
    if any(code):
        rest = zip(map(_is_weak, texts), _pairs(texts), _decorators(texts, code), strict=True)
        code = [strong or any(weak) for strong, weak in zip(code, rest, strict=True)]
    return [Line(*span, is_code) for span, is_code in zip(spans, code, strict=True)]


def _is_weak(line: str) -> bool:
    return _WEAK.match(line) is not None


def _pairs(texts: Sequence[str]) -> Iterator[bool]:
    """A quoted name and its value, inside of an open bracket."""
    depth = 0
    for line in texts:
        yield depth > 0 and _PAIR.match(line) is not None
        depth = max(0, depth + sum(map(line.count, "{[")) - sum(map(line.count, "}]")))


def _decorators(texts: Sequence[str], strong: Sequence[bool]) -> list[bool]:
    """Before a function or a class, or before another decorator that is."""
    found, before = [], False
    for line, is_strong in zip(reversed(texts), reversed(strong), strict=True):
        decorator = before and _DECORATOR.match(line) is not None
        found.append(decorator)
        before = decorator or (is_strong and _DECLARATION.match(line) is not None)
    return found[::-1]
