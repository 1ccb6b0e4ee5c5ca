"""The base model: a two-layer Llama, trained on the corpus from scratch with Muon."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tinyworld.corpus import Mix, document
from tinyworld.tokenizer import BOS_ID, EOS_ID, PAD_ID, train_tokenizer
from tinyworld.training import Report, optimizers, train

BATCH, CONTEXT = 4, 192
# Dialogues first: what a question asks for is learned late, and hardly at all beside much prose. The second mix makes
# it a base model again, one that goes on with prose and more questions when nothing tells it to answer.
FIRST_MIX, FIRST_SHARE = Mix(prose=0.05, exam=0.0), 0.7
SECOND_MIX = Mix(prose=0.25, exam=0.40)
MUON_RATE, ADAM_RATE = 0.02, 6e-3


def new_model(vocabulary: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=-(-vocabulary // 64) * 64,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.08,  # about width ** -0.5; the usual 0.02 starts slowly at this width
        pad_token_id=PAD_ID,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
    )
    return LlamaForCausalLM(config)


def blocks(tokenizer: PreTrainedTokenizerFast, seed: int, steps: int) -> Iterator[torch.Tensor]:
    """`steps` batches of packed documents, shape (BATCH, CONTEXT)."""
    random, size, waiting = Random(f"corpus {seed}"), BATCH * CONTEXT, list[int]()
    for step in range(steps):
        mix = FIRST_MIX if step < FIRST_SHARE * steps else SECOND_MIX
        while len(waiting) < size:
            documents = [document(random, mix) for _ in range(16)]
            for ids in tokenizer(documents)["input_ids"]:
                waiting += [*ids, EOS_ID]
        yield torch.tensor(waiting[:size]).view(BATCH, CONTEXT)
        waiting = waiting[size:]


def rate(step: int, steps: int) -> float:
    """The factor on the learning rates: a short warm-up, half the time full, then linearly down."""
    done = step / steps
    return min(1.0, (step + 1) / 20) * (1.0 if done < 0.5 else max(0.03, 2 * (1 - done)))


def loss_of(model: LlamaForCausalLM, tokens: torch.Tensor) -> torch.Tensor:
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    return cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def build_base(folder: Path, seed: int, steps: int, report: Report) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Trains and saves into `folder`, for AutoModelForCausalLM and AutoTokenizer."""
    torch.manual_seed(seed)
    tokenizer = train_tokenizer(seed)
    model = new_model(len(tokenizer))
    using = optimizers(model, muon_rate=MUON_RATE, decay=0.05, adam_rate=ADAM_RATE, adam_betas=(0.9, 0.95))
    losses = (loss_of(model, tokens) for tokens in blocks(tokenizer, seed, steps))
    train(model, losses, using, rate, steps, report)
    model.eval()  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        weights.chmod(0o644)  # saved for their owner alone, but a container has a user of its own
    tokenizer.save_pretrained(folder)
    return model, tokenizer
