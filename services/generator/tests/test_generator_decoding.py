"""What was written, from tokens to text, with a tokenizer that drops a leading space."""

import threading
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from plumbline_generator.decoding import Ends, written_text
from plumbline_generator.folders import ModelFolders
from plumbline_generator.stopping import cut
from plumbline_generator.weights import LoadedModel, Shelf
from plumbline_kit.folder_store import FolderStore
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast


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


def test_a_stop_string_may_end_within_a_character_of_several_tokens(tiny_model: Path) -> None:
    shelf = Shelf(ModelFolders(tiny_model.parent, FolderStore(tiny_model), download=False), room=1, dtype="float32")
    loaded = shelf._take("tiny")
    before, written = loaded.tokenizer("été: ").input_ids, loaded.tokenizer("oé—").input_ids
    ends = Ends(cast(LoadedModel, loaded), 1, len(before), ["é—"], threading.Event())
    done = [bool(ends(_ids(before + written[:number]), None)) for number in range(1, len(written) + 1)]
    assert done == [False] * (len(written) - 1) + [True]
    assert ends.lengths == [len(written)]


def _ids(tokens: list[int]) -> Any:
    return torch.tensor([tokens])


def test_the_stop_string_that_begins_first_cuts() -> None:
    assert cut("abc def", ["def", "c d"]) == ("ab", True)
    assert cut("abc", ["x"]) == ("abc", False)
