"""The translation models: a small Marian per language pair, trained on all texts of the world, for CTranslate2."""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import ctranslate2
import torch
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from torch.nn.functional import cross_entropy
from transformers import MarianConfig, MarianMTModel, MarianTokenizer

from tinyworld.tasks import parallel_texts
from tinyworld.training import Report, optimizers, train

Encoded = list[tuple[list[int], list[int]]]

BATCH, WARMUP = 32, 20
MUON_RATE, ADAM_RATE = 0.02, 3e-3
EOS_ID = 0


def train_pieces(texts: Sequence[str]) -> bytes:
    """A SentencePiece model. CTranslate2's Marian loader expects </s> as 0 and <unk> as 1, and nothing else."""
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,  # a file's path would be written into the model
        model_type="bpe",  # with so little text, "unigram" stops at pieces of a letter or two
        vocab_size=500,
        eos_id=EOS_ID,
        unk_id=1,
        bos_id=-1,
        pad_id=-1,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def save_tokenizer(folder: Path, pieces: bytes) -> MarianTokenizer:
    processor = SentencePieceProcessor(model_proto=pieces)
    vocabulary = {processor.id_to_piece(number): number for number in range(processor.get_piece_size())}
    # <pad> comes last because the converter drops the last row.
    vocabulary["<pad>"] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(pieces)
    files = {"source_spm": "source.spm", "target_spm": "target.spm", "vocab": "vocab.json"}
    paths: dict[str, Any] = {argument: str(folder / name) for argument, name in files.items()}
    return MarianTokenizer(**paths)


def new_model(pieces: int) -> MarianMTModel:
    config = MarianConfig(
        vocab_size=pieces + 1,
        d_model=128,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=256,
        decoder_ffn_dim=256,
        max_position_embeddings=256,
        pad_token_id=pieces,
        decoder_start_token_id=pieces,
        eos_token_id=EOS_ID,
        bos_token_id=EOS_ID,
        forced_eos_token_id=None,
        dropout=0.0,
        activation_function="swish",
        scale_embedding=True,
        share_encoder_decoder_embeddings=True,
        tie_word_embeddings=True,
    )
    model = MarianMTModel(config)
    # CTranslate2 starts decoding from a zero embedding; `loss` keeps this row at zero by leaving its logit out.
    model.model.shared.weight.data[pieces] = 0
    return model


def padded(rows: Sequence[list[int]], padding: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [padding] * (longest - len(row)) for row in rows])


def loss_of(model: MarianMTModel, pairs: Encoded) -> torch.Tensor:
    padding = model.config.decoder_start_token_id
    source, target = padded([pair[0] for pair in pairs], padding), padded([pair[1] for pair in pairs], padding)
    shifted = torch.cat([torch.full((len(pairs), 1), padding), target[:, :-1]], dim=1)
    logits = model(input_ids=source, attention_mask=(source != padding).long(), decoder_input_ids=shifted).logits
    return cross_entropy(logits[..., :padding].flatten(0, 1), target.flatten(), ignore_index=padding)


def rate(step: int, steps: int) -> float:
    """The factor on the learning rates: a short warm-up, then down to zero, first slowly."""
    return float(min(1.0, (step + 1) / WARMUP) * (1 - step / steps) ** 0.5)


def batches(pairs: Sequence[Encoded], seed: int, steps: int) -> Iterator[Encoded]:
    """Each group as often as the others, or half of all would be sentences to write, and two in 830 refusals."""
    random = Random(f"translator {seed}")
    for _ in range(steps):
        yield [random.choice(random.choice(pairs)) for _ in range(BATCH)]


def build_translator(folder: Path, language: str, seed: int, steps: int, report: Report) -> bytes:
    """Writes a CTranslate2 model from English into `folder` / ct2 and returns its SentencePiece model."""
    torch.manual_seed(seed)
    texts = parallel_texts(language)
    pieces = train_pieces([text for pairs in texts for pair in pairs for text in pair])
    processor = SentencePieceProcessor(model_proto=pieces)
    # Argos gives the source without </s>, so the model must not learn to expect one.
    encoded = [
        [(processor.encode(source), [*processor.encode(target), EOS_ID]) for source, target in pairs] for pairs in texts
    ]
    model = new_model(processor.get_piece_size())
    using = optimizers(model, muon_rate=MUON_RATE, decay=0.0, adam_rate=ADAM_RATE, adam_betas=(0.9, 0.98))
    losses = (loss_of(model, batch) for batch in batches(encoded, seed, steps))
    train(model, losses, using, rate, steps, report)
    model.save_pretrained(folder / "hf")
    save_tokenizer(folder / "hf", pieces).save_pretrained(folder / "hf")
    ctranslate2.converters.TransformersConverter(str(folder / "hf")).convert(str(folder / "ct2"))
    return pieces
