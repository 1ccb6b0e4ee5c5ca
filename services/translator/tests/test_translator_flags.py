"""What is flagged, and what is not."""

import pytest
from plumbline_contracts.translator import TranslationFlag as Flag
from plumbline_translator.flags import flags, loops


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("What is it?", "Qu'est-ce que c'est ?", []),
        ("What is it?", " What is it?\n", [Flag.UNTRANSLATED]),
        ("OK 42", "OK 42", []),
        ("```\nname = 1\n```", "```\nname = 1\n```", []),
        ("A dog.", "Le le le le chien.", [Flag.LOOPED]),
        ("A dog.", "Un chien, un chat, un chien, un chat, un chien, un chat, un chien, un chat", [Flag.LOOPED]),
        ("Hm", "Hmmmmmmmmmmmmmmmmmmm", [Flag.LOOPED]),
        ("no no no no", "non non non non", []),
        ("Fill in ____________.", "Remplissez ____________.", []),
        ("Run\n```\nls\n```", "Lance\n```\nla\n```", [Flag.CODE_CHANGED]),
        ("Run `my_code` now", "Lance `mon code` maintenant", [Flag.CODE_CHANGED]),
        ("Run `my_code` now", "Lance `my_code` maintenant", []),
        ("Hi {user_name}!", "Salut {user name} !", [Flag.PLACEHOLDER_CHANGED]),
        ("Hi {{ x }} {name} %s %(n)d <b>", "<b> Salut {name} {{ x }} %(n)d %s", []),
        ("100 % of it", "100 % de cela", []),
        ("See https://a.b/c_d.", "Voir https://a.b/c d.", [Flag.PLACEHOLDER_CHANGED]),
        ("See (https://a.b/c_d).", "Voir « https://a.b/c_d ».", []),
        ("Use <br/> twice <br/>", "Utilisez <br/> deux fois", [Flag.PLACEHOLDER_CHANGED]),
        ("What is it?", "  ", [Flag.EMPTY]),
    ],
)
def test_flags(source: str, text: str, expected: list[Flag]) -> None:
    assert flags(source, text) == expected


def test_a_list_with_the_same_word_on_every_line_is_no_loop() -> None:
    assert not loops("- dog\n" * 20)
    assert loops("- dog cat bird dog cat bird dog cat bird dog cat bird\n")
