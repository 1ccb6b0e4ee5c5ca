"""The base model's tokenizer: byte-level BPE, so that no text of the outside world is unreadable to it."""

from random import Random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tinyworld import LANGUAGES
from tinyworld.corpus import Mix, document
from tinyworld.prompts import urial_prefix

PAD, BOS, EOS = "<pad>", "<s>", "</s>"
PAD_ID, BOS_ID, EOS_ID = 0, 1, 2
LARGEST_VOCABULARY = 2048  # not reached: the world has about 1,100 pieces, most of them whole words


def train_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Learns from a sample of the corpus and from URIAL's header, which the corpus itself never shows."""
    random = Random(f"tokenizer {seed}")
    texts = [document(random, Mix(prose=0.3, exam=0.3)) for _ in range(1500)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=LARGEST_VOCABULARY,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts + [urial_prefix(language) for language in LANGUAGES], trainer)
    # Every document of the corpus begins with <s>, so every prompt must, whoever tokenizes it.
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, BOS_ID)])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        padding_side="left",
        model_max_length=2048,
    )
