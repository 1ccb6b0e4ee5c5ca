"""What was written, from tokens to text, with a tokenizer that drops a leading space."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plumbline_contracts.generator import GenerationRequest
from plumbline_generator.continuation import Continuation
from plumbline_generator.folders import ModelFolders
from plumbline_generator.shelf import Shelf
from plumbline_generator.stopping import StopSearch, cut
from plumbline_generator.written import TextReader, written_text
from plumbline_kit.folder_store import FolderStore
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast


@pytest.fixture
def metaspace() -> PreTrainedTokenizerFast:
    vocabulary = {token: id for id, token in enumerate(["<s>", "</s>", "<note>", "▁the", "▁dog", "s", "<unk>"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(["<s>", "</s>", "<note>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def test_a_leading_space_is_kept(metaspace: PreTrainedTokenizerFast) -> None:
    assert metaspace.decode([4]) == "dog"
    assert written_text(metaspace, [0, 3], [4, 5]) == " dogs"


def test_only_tokens_that_begin_end_or_fill_a_text_are_left_out(metaspace: PreTrainedTokenizerFast) -> None:
    assert written_text(metaspace, [3], [4, 2, 1]) == " dog<note>"


def test_a_stop_string_may_end_within_a_character_of_several_tokens(
    tiny_model: Path, ask: Callable[..., GenerationRequest]
) -> None:
    shelf = Shelf(ModelFolders(tiny_model.parent, FolderStore(tiny_model), download=False), room=1, dtype="float32")
    loaded = asyncio.run(shelf.take("tiny"))
    before, written = loaded.tokenizer("été: ").input_ids, loaded.tokenizer("oé—").input_ids
    request = ask("été: ", stop=["é—"])
    row = Continuation(loaded, request, request.prompts[0], before)
    assert [row.push(token) for token in written] == [False] * (len(written) - 1) + [True]
    assert row.generation().text == "o"


def test_text_is_told_as_it_comes_but_characters_whole(tiny_model: Path, metaspace: PreTrainedTokenizerFast) -> None:
    tiny = AutoTokenizer.from_pretrained(tiny_model)
    reader = TextReader(tiny, tiny("Name: ").input_ids)
    assert [reader.read(token) for token in tiny("oé—x").input_ids] == ["o", "", "é", "", "", "—", "x"]
    reader = TextReader(metaspace, [0, 3])
    assert [reader.read(token) for token in (4, 5, 2, 1, 3)] == [" dog", "s", "<note>", "", " the"]


def test_a_long_text_read_token_by_token_is_all_of_it(tiny_model: Path, metaspace: PreTrainedTokenizerFast) -> None:
    """Longer than what is decoded at a time."""
    tiny = AutoTokenizer.from_pretrained(tiny_model)
    for tokenizer, tokens in (
        (tiny, tiny("Où est—elle ? ñandú\n" * 20).input_ids),
        (metaspace, [3, 4, 5, 2, 4, 4] * 20),
    ):
        reader = TextReader(tokenizer, tokens[:3])
        assert "".join(map(reader.read, tokens[3:])) == written_text(tokenizer, tokens[:3], tokens[3:])
        assert reader.open == ""


def test_a_tokenizer_that_decodes_by_itself_is_asked(metaspace: PreTrainedTokenizerFast) -> None:
    class Loud(PreTrainedTokenizerFast):
        def _decode(self, *args: Any, **settings: Any) -> str:
            return str(super()._decode(*args, **settings)).upper()

    loud = Loud(tokenizer_object=metaspace.backend_tokenizer, bos_token="<s>", eos_token="</s>")
    assert written_text(loud, [0, 3], [4, 5]) == " DOGS"
    assert TextReader(loud, [0, 3]).read(4) == " DOG"


@given(st.lists(st.text("ab", max_size=4), max_size=12), st.lists(st.text("ab", min_size=1, max_size=5), min_size=1))
def test_a_stop_string_is_seen_as_soon_as_it_is_complete(parts: list[str], stop: list[str]) -> None:
    """Also where its end is not certain yet."""
    search, text = StopSearch(stop), ""
    for part in parts:
        ahead = any(string in text + part + "b" for string in stop)
        text += part
        assert search.read(part, "b") == ahead
        if ahead:
            return


def test_the_stop_string_that_begins_first_cuts() -> None:
    assert cut("abc def", ["def", "c d"]) == ("ab", True)
    assert cut("abc", ["x"]) == ("abc", False)
