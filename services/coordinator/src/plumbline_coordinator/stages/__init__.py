"""The stages of an experiment, in order; each turns chunks of items into outcomes by calling one service."""

from plumbline_contracts.coordinator import PhaseName

from .detect import Detect
from .generate import Generate
from .judge import JudgeStage
from .stage import Stage
from .train import Train
from .translate import Translate

STAGES: dict[PhaseName, Stage] = {
    stage.name: stage for stage in (Translate(), Train(), Generate(), Detect(), JudgeStage())
}
