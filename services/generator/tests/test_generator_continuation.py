"""What was written, from tokens to text, with a tokenizer that drops a leading space."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from plumbline_contracts.generator import GenerationRequest
from plumbline_generator.continuation import Continuation
from plumbline_generator.folders import ModelFolders
from plumbline_generator.shelf import Shelf
from plumbline_generator.stopping import cut
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


def test_the_stop_string_that_begins_first_cuts() -> None:
    assert cut("abc def", ["def", "c d"]) == ("ab", True)
    assert cut("abc", ["x"]) == ("abc", False)
