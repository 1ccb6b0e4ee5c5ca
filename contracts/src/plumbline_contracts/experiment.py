"""The experiment file that people write in YAML: data set, languages, models, trainings, arms, judges, analysis."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from .analyzer import AnalysisSettings
from .common import Identifier, Language, Request, Text
from .generator import Decoding, ModelReference, StopLoops
from .judge import RubricLanguage
from .trainer import Hyperparameters, Method

HubId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$")]


class LocalFile(Request):
    """A file beside the experiment file. The client uploads it; `path` is relative to the experiment file."""

    path: str = Field(min_length=1)


class DataSource(Request):
    """Exactly one of a local JSONL or Parquet file and a Hugging Face data set (or a local folder like one)."""

    path: str | None = Field(default=None, min_length=1)
    hub: HubId | None = None
    revision: str | None = None
    file: str | None = Field(default=None, description="File within the hub data set, where it has several.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either path (a local JSONL or Parquet file) or hub (a data set's id)")
        return self


class InstructionFields(Request):
    """How the columns of the data set are called. The defaults are those of just-eval."""

    id: str = "id"
    instruction: str = "instruction"
    category: str = Field(default="category", description="Rows without one are `regular`.")
    task: str = "task"
    reference: str = "reference"
    references: str = "references"
    language: str | None = Field(
        default=None, description="Column with each row's language: rows are native, not translated."
    )


class Dataset(DataSource):
    """Instructions. `native` replaces translation for a language, joined by id."""

    language: Language = "en"
    fields: InstructionFields = InstructionFields()
    limit: int | None = Field(
        default=None, ge=1, description="Take this many, evenly spread over the file, per language."
    )
    native: dict[Language, DataSource] = {}


class ModelFamily(Request):
    """The weights that belong together: a base model and, where it exists, its instruct model."""

    base: ModelReference
    instruct: ModelReference | None = None


class TrainingData(DataSource):
    """Rows of text. SFT needs `instruction` and `response`, DPO `instruction`, `chosen` and `rejected`."""

    instruction: str = "instruction"
    response: str = "response"
    chosen: str = "chosen"
    rejected: str = "rejected"
    language: str | None = Field(default="language", description="Column with the row's language; null for none.")
    limit: int | None = Field(default=None, ge=1)


class Training(Request):
    """One training of a base model. `prompting` is the text format that it sees, the same as in generation."""

    method: Method
    model: Identifier
    prompting: Literal["zero-shot", "urial"] = "zero-shot"
    data: TrainingData
    hyperparameters: Hyperparameters


class Arm(Request):
    """One variant under study: `weights` is `base`, `instruct` or the name of a training."""

    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^/\x00-\x1f]+$")]
    model: Identifier
    weights: Identifier = "base"
    prompting: Literal["zero-shot", "urial", "chat"] = "zero-shot"


class ZeroShot(Request):
    """`plain`: the instruction and a line break. `fenced`: URIAL's layout without system text and demonstrations."""

    template: Literal["plain", "fenced"] = "plain"


class Urial(Request):
    """`demonstrations`: in each target language, or in English everywhere. `files` replace Plumbline's own prompts."""

    demonstrations: Literal["target", "en"] = "target"
    files: dict[Language, LocalFile] = {}


class Prompts(Request):
    zero_shot: ZeroShot = ZeroShot()
    urial: Urial = Urial()


class CalibrationFile(LocalFile):
    """What `plumbline calibrate` wrote about this judge; means are then also given corrected for its errors."""

    method: Literal["misclassification", "rectified"] = Field(
        default="misclassification",
        description="rectified: narrower, and right only where the gold items are drawn like those of the experiment.",
    )


class JudgeChoice(Request):
    """A judge by the name that it has in the coordinator's settings, and its rubric per category of instruction."""

    name: Identifier = "judge"
    rubrics: dict[Identifier, str] = Field(
        default={"regular": "just-eval-multi", "safety": "just-eval-safety"},
        min_length=1,
        description="Items of a category that is not listed are not judged, and counted as such.",
    )
    rubric_language: RubricLanguage = Field(
        default=RubricLanguage.ENGLISH,
        description="Judges are steadier with a rubric in English, also on other languages (arXiv 2605.28710).",
    )
    role: Literal["primary", "shadow"] = Field(
        default="primary",
        description="A shadow judges everything too, and no result rests on it: it shows which would be another by it.",
    )
    calibration: CalibrationFile | None = None


class Panel(Request):
    """Several judges as one: their scores of a response on an aspect, aggregated. It is reported beside its judges."""

    name: Identifier
    judges: list[Identifier] = Field(min_length=2)
    aggregation: Literal["median", "mean", "vote"] = Field(description="vote: the label that most of them gave.")
    quorum: int | None = Field(default=None, ge=1, description="Judges that must have scored; null: all of them.")


class ExperimentDecoding(Decoding):
    """Loops are ended early, and a share of them is audited, unless `stop_loops` is null."""

    stop_loops: StopLoops | None = Field(default=StopLoops(), description="Null lets every text run to its end.")


class Limits(Request):
    """What an experiment may spend. At a limit it is paused; batches under way are still stored, so tokens may be a
    little more. Everything counts, also what is done again.
    """

    calls: int | None = Field(default=None, ge=1, description="Requests to translator, generator and judges.")
    tokens: int | None = Field(default=None, ge=1, description="Of prompts and completions, as the generator counts.")
    hours: float | None = Field(default=None, gt=0, description="Time during which it is queued or running.")


class ExperimentSpec(Request):
    """See experiments/quickstart.yaml."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: Text = ""
    seed: int = Field(
        default=0,
        ge=0,
        le=2**32 - 1,
        description="Seed of decoding, trainings and analysis where they do not set their own.",
    )
    languages: list[Language] = Field(min_length=1)
    dataset: Dataset
    models: dict[Identifier, ModelFamily] = Field(min_length=1)
    trainings: dict[Identifier, Training] = {}
    prompts: Prompts = Prompts()
    arms: list[Arm] = Field(min_length=1)
    decoding: ExperimentDecoding
    judges: list[JudgeChoice] = [JudgeChoice()]
    panels: list[Panel] = []
    analysis: AnalysisSettings = AnalysisSettings()
    reuse: bool = Field(
        default=True,
        description="Take answers that an earlier experiment got from the same service to the same question."
        " What is done anew is kept for later ones either way.",
    )
    limits: Limits = Limits()

    @model_validator(mode="before")
    @classmethod
    def _seed_everything(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "seed" not in given:
            return given
        seed, trainings = given["seed"], given.get("trainings", {})
        if isinstance(trainings, dict):
            trainings = {name: _with_seed(one, "hyperparameters", seed) for name, one in trainings.items()}
        return _with_seed(_with_seed(given, "decoding", seed), "analysis", seed) | {"trainings": trainings}


def _with_seed(parent: Any, section: str, seed: Any) -> Any:
    if not isinstance(parent, dict) or not isinstance(parent.get(section, {}), dict):
        return parent
    return parent | {section: {"seed": seed} | parent.get(section, {})}


def local_paths(document: Any) -> list[str]:
    """Every local file that an experiment file (as parsed YAML) names, in order and once each."""
    found: dict[str, None] = {}
    stack, visited = [document], set[int]()
    while stack:
        node = stack.pop()
        if id(node) in visited:  # an alias, which may even contain itself
            continue
        visited.add(id(node))
        if isinstance(node, dict):
            found |= {value: None for key, value in node.items() if key == "path" and isinstance(value, str)}
            stack += reversed(list(node.values()))
        elif isinstance(node, list):
            stack += reversed(node)
    return list(found)


def leaves(document: Any, path: str = "") -> dict[str, Any]:
    """Every value of a document by its path, such as `arms[0].prompting`; an empty list or mapping is a value."""
    if isinstance(document, dict) and document:
        parts = [(f"{path}.{key}" if path else str(key), value) for key, value in document.items()]
    elif isinstance(document, list) and document:
        parts = [(f"{path}[{index}]", value) for index, value in enumerate(document)]
    else:
        return {path: document}
    return {found: leaf for inner, value in parts for found, leaf in leaves(value, inner).items()}
