"""What an instruction asks for beside an answer in its own language: code, another language. English, French, Spanish.

Word lists err towards "asks for it": a detector that does not apply accuses nobody.
"""

import re

_LANGUAGE_NAMES = {
    "en": "english|anglais|inglés",
    "fr": "french|français|francés",
    "es": "spanish|espagnol|español|castellano",
    "pt": "portuguese|portugais|portugués",
    "it": "italian|italien|italiano",
    "de": "german|allemand|alemán",
    "ca": "catalan|catalán",
    "other": "latin|latín|greek|grec|griego|russian|russe|ruso|chinese|mandarin|chinois|chino|mandarín|japanese"
    "|japonais|japonés|korean|coréen|coreano|arabic|arabe|árabe|hindi|hebrew|hébreu|hebreo|dutch|néerlandais|neerlandés|holandés"
    "|polish|polonais|polaco|swedish|suédois|sueco|norwegian|danish|finnish|czech|hungarian|turkish|turc|turco"
    "|vietnamese|thai|indonesian|swahili|ukrainian|ukrainien|ucraniano|basque|euskera|galician|gallego|romanian"
    "|esperanto|persian|farsi|urdu|bengali|tamil|icelandic|welsh|irish|gaelic|sanskrit|klingon",
}
_TRANSLATION = re.compile(r"\b(?:translat\w+|traduct?\w+|tradui\w+|traduz\w+)\b", re.IGNORECASE)
_IN_LANGUAGE = r"\b(?:in|into|to|from|en|al|del?|vers l['\u2019e]|de l['\u2019])\s?(?:the\s)?(?:{names})\b"

_CODE = re.compile(
    r"\b(?:source code|pseudo-?code|code (?:snippet|for|in|to|that|below)"
    r"|(?:the|this|some|a|my|of|following|given|write|python|sample) code(?! of)|coding (?:in|task|question|problem)"
    r"|programming|programmation|programación"
    r"|(?:write|create|make|build|develop|design|implement) (?:\w+ ){0,3}(?:website|web ?page|api|macro|regex)"
    r"|program (?:that|to|which)|programme (?:qui|informatique)|programa (?:que|informático)"
    r"|(?:create|build|develop|code) (?:\w+ ){0,3}app|script (?:that|to|which|qui|que)"
    r"|implement (?:\w+ ){0,2}(?:function|method|class|algorithm|queue|stack|list)"
    r"|(?:écri\w+|crée[rz]?|génère[rz]?|implément\w+) (?:\w+ ){0,3}(?:code|fonction|page web|site web)"
    r"|(?:escrib\w+|cre[ae]\w*|gener\w+|haz|implement\w+) (?:\w+ ){0,3}"
    r"(?:código|función|página web|sitio web)"
    r"|ce code|le code (?:suivant|source)|code informatique|código fuente|este código"
    r"|el código(?! (?:postal|penal|civil|de))|un code (?:en|qui)|web app|linux|debug\w*"
    r"|python|pyplot|matplotlib|psycop?g2?|java|javascript|typescript|node\.?js|html5?|css3?|php|sql|mysql|postgresql"
    r"|sqlite|mongodb|bash|powershell|command line|vba|(?:excel|sheets?|spreadsheet) formula|formule excel"
    r"|latex|json|xml|yaml|csv|fórmula de excel|regex|regexp|regular expressions?|expressions? régulières?"
    r"|expresi[óo]n(?:es)? regular(?:es)?|matlab|numpy|pandas|tensorflow|pytorch|keras|django|flask|kotlin|swiftui"
    r"|golang|rustlang|haskell|perl|docker(?:file)?|makefile|verilog|arduino|github|git (?:command|repo\w*|commit)"
    r"|algorithms?|algorithme|algoritmo|leetcode|compiler|linked list|sorted (?:lists?|arrays?)"
    r"|binary (?:search|tree)|for loop|unit tests?|apis?|cmake|assembly language|solidity|malbolge)\b"
    r"|\bC\+\+|\bC#|\.NET\b|\b(?:in|en|using|avec|con) (?:C|R|Go|Rust|Ruby|Swift|Scala)\b(?!['\u2019])|`[^`\n]+`",
    re.IGNORECASE,
)
_FUNCTION = re.compile(
    r"\b(?:function|fonction|función)\b.*\b(?:returns?|takes?|renvoie|prend|devuelv\w+|recib\w+)\b", re.I
)
_LONGEST = 20_000


def asks_for_code(instruction: str) -> bool:
    text = instruction[:_LONGEST]
    return _CODE.search(text) is not None or any(_FUNCTION.search(line[:500]) for line in text.splitlines())


def asks_for_other_language(instruction: str, language: str) -> bool:
    """Whether it asks for a translation or names a language other than the one expected ("in French", "al inglés")."""
    text = instruction[:_LONGEST]
    if _TRANSLATION.search(text):
        return True
    names = "|".join(names for code, names in _LANGUAGE_NAMES.items() if code != language)
    return re.search(_IN_LANGUAGE.format(names=names), text, re.IGNORECASE) is not None
