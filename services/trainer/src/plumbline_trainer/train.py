"""Train with TRL: load, configure, train or resume, save. Imports torch, as only `saving` does beside it."""

import logging
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, TaskType
from plumbline_contracts.common import Artifact
from plumbline_contracts.trainer import Hyperparameters, LowRank, Method, TrainingRequest
from plumbline_contracts.weights import AdapterBase
from plumbline_kit.artifacts import ArtifactStore
from plumbline_kit.errors import ProblemError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from . import checkpoints
from .jobs import JobFolder
from .models import find
from .outages import patiently
from .progress import Progress, diverged
from .rows import Row
from .saving import save_adapter, save_whole
from .settings import Plan

log = logging.getLogger(__name__)
_SHORTEST_LOG_INTERVAL = 0.005  # of all steps: a history has some 200 lines, whatever the training's length


def train(folder: JobFolder, request: TrainingRequest, plan: Plan, data: list[Row], store: ArtifactStore) -> Artifact:
    chosen, place = request.hyperparameters, patiently(lambda: find(request.model, plan, store))
    model, tokenizer = _load(request.model, place)
    # Read before the training, which may take days, in which a folder can change.
    alone = chosen.low_rank is not None and not chosen.low_rank.merge
    base = AdapterBase(model=request.model, sha256=store.digests.of(place)) if alone else None
    _check_lengths(data, tokenizer, chosen.max_length)
    use_cache = model.config.use_cache
    trainer = _trainer(folder, request, plan, model, tokenizer, Dataset.from_list(data))
    checkpoints.remove_partial(folder.checkpoints)
    resumed = checkpoints.newest(folder.checkpoints)
    trainer.train(resume_from_checkpoint=None if resumed is None else str(resumed[1]))
    trainer.model.config.use_cache = use_cache  # Trainer switches it off, and generation would be slow without
    _require_numbers(trainer.model, chosen)
    if base is None:
        save_whole(trainer.model, tokenizer, folder.final)
    else:
        save_adapter(trainer.model, tokenizer, folder.final, base)
    return patiently(lambda: store.put(folder.final, folder.path.name))


def _load(reference: str, path: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """In float32 whatever the file has: small learning rates vanish in bfloat16. No pickles, no foreign code."""
    if (path / "adapter_config.json").exists():
        # transformers would look for its base in folders and on the hub by itself.
        detail = f"{reference} is an adapter, and a training starts from whole weights: train it with merge: true."
        raise ProblemError(422, "unusable-model", detail)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        model, report = loaded
        if report["missing_keys"]:
            # transformers would fill them with random numbers.
            raise ValueError(f"its weights lack {', '.join(sorted(report['missing_keys'])[:3])}")
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        detail = f"{reference} is not a causal language model with safetensors and a tokenizer: {error}"
        raise ProblemError(422, "unusable-model", detail) from error
    if tokenizer.eos_token is None:
        detail = f"The tokenizer of {reference} has no end-of-sequence token, so no response could ever end."
        raise ProblemError(422, "unusable-model", detail)
    return model, tokenizer


def _check_lengths(data: list[Row], tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
    """TRL drops rows whose prompt leaves no room for a response; say how many, and refuse when it is all of them."""
    fitting = sum(len(tokenizer(row["prompt"])["input_ids"]) < max_length for row in data)
    log.info("%d of %d rows are used; the prompts of the others fill max_length alone", fitting, len(data))
    if fitting == 0:
        raise ProblemError(422, "invalid-data", f"Every prompt fills max_length {max_length} alone; no row is left.")


def _trainer(
    folder: JobFolder,
    request: TrainingRequest,
    plan: Plan,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data: Dataset,
) -> Any:
    chosen = request.hyperparameters
    common: dict[str, Any] = {
        "model": model,
        "train_dataset": data,
        "processing_class": tokenizer,
        "callbacks": [Progress(folder.history)],
        "peft_config": None if chosen.low_rank is None else _low_rank(chosen.low_rank),
    }
    arguments = _arguments(folder, chosen, plan)
    if request.method is Method.SFT:
        return SFTTrainer(args=SFTConfig(**arguments, packing=False), **common)
    preference = DPOConfig(
        **arguments,
        beta=chosen.beta,
        loss_type=list(chosen.loss),
        precompute_ref_log_probs=True,  # so that no second model is in memory
        # TRL would switch LoRA's dropout off with the model's own.
        disable_dropout=chosen.low_rank is None or chosen.low_rank.dropout == 0,
    )
    return DPOTrainer(args=preference, **common)


def _arguments(folder: JobFolder, chosen: Hyperparameters, plan: Plan) -> dict[str, Any]:
    accelerated = torch.accelerator.is_available()
    return {
        "output_dir": str(folder.checkpoints),
        "learning_rate": chosen.learning_rate,
        "num_train_epochs": chosen.epochs,
        "per_device_train_batch_size": chosen.batch_size,
        "gradient_accumulation_steps": chosen.gradient_accumulation_steps,
        "max_length": chosen.max_length,
        "lr_scheduler_type": _scheduler(chosen),
        "warmup_steps": chosen.warmup_ratio,  # below 1 it is a ratio
        "weight_decay": chosen.weight_decay,
        "seed": chosen.seed,
        "data_seed": chosen.seed,
        "bf16": chosen.precision == "bfloat16",
        "use_cpu": not accelerated,
        "activation_checkpointing": accelerated,  # saves memory, costs time; TRL's default is always
        "dataloader_pin_memory": accelerated,
        "logging_steps": _SHORTEST_LOG_INTERVAL,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # the default hides a diverged loss
        "save_strategy": "steps",
        "save_steps": plan.checkpoint_steps,
        "save_total_limit": 2,  # one is being written while the other is whole
        "report_to": "none",
        "disable_tqdm": True,
    }


def _scheduler(chosen: Hyperparameters) -> str:
    # `constant` would ignore the warm-up.
    return "constant_with_warmup" if chosen.scheduler == "constant" and chosen.warmup_ratio else chosen.scheduler


def _low_rank(chosen: LowRank) -> LoraConfig:
    return LoraConfig(
        r=chosen.rank,
        lora_alpha=chosen.alpha,
        lora_dropout=chosen.dropout,
        target_modules="all-linear",
        task_type=TaskType.CAUSAL_LM,
    )


def _require_numbers(model: torch.nn.Module, chosen: Hyperparameters) -> None:
    if not all(torch.isfinite(weights).all() for weights in model.parameters()):
        raise diverged("The last step left weights that are no numbers", chosen.learning_rate)
