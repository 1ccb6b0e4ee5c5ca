"""Experiments in the forms of other tools; each module writes one form and returns the number of responses."""

from enum import StrEnum


class Format(StrEnum):
    """`folder` and what follows it are folders, the others single files."""

    JSONL = "jsonl"
    PARQUET = "parquet"
    CSV = "csv"
    FOLDER = "folder"
    JUST_EVAL = "just-eval"
    LM_EVAL = "lm-eval"
    HF_DATASET = "hf-dataset"


FILES = frozenset({Format.JSONL, Format.PARQUET, Format.CSV})
