"""What a task decides, and how most tasks decide it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from peft import TaskType
from torch import nn
from transformers import AutoModel

from finelake.lake.config.contract import NO_LOSS
from finelake.lake.config.runs import Run
from finelake.lake.errors import UserError
from finelake.training.data.batch import Batch
from finelake.training.loop.progress import Progress
from finelake.training.models import model as models
from finelake.training.models.model import Description, Model

if TYPE_CHECKING:  # what only an evaluation needs is imported by one: a model is loaded without it
    from finelake.training.data.samples import Part
    from finelake.training.evaluation.answers import Answers, Question
    from finelake.training.evaluation.report import Panel

Scorer = Callable[[np.ndarray], float]  # numbers of test rows -> a score of them


class Task(ABC):
    """One kind of model: how it is built, trained, asked and judged."""

    name: ClassVar[str]  # in params.yaml
    title: ClassVar[str]  # for a reader
    titles: ClassVar[Mapping[str, str]] = {}  # names of metrics and systems, where report.TITLES has none or another
    examples_title: ClassVar[str]  # of the rows that the report shows
    auto: ClassVar[type] = AutoModel  # transformers' class of the body
    adapter: ClassVar[str] = TaskType.FEATURE_EXTRACTION  # PEFT's kind of task
    labelled: ClassVar[bool] = False  # whether the samples have classes, which are kept with the model
    packs: ClassVar[bool] = False  # whether tokenize.packing puts several texts into a sample
    figures: ClassVar[Sequence[str]] = ("loss", "accuracy")  # of a validation, see `tally`

    # --- the model ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def model(self, body: nn.Module, width: int, classes: int, scale: float) -> Model:
        """The model on a body whose hidden states have `width` numbers."""

    def build(self, run: Run, base: Path, classes: int) -> Model:
        """The trainable model of a run (all values chosen) on the base in folder `base`, seeded by the run."""
        torch.manual_seed(run.seed)
        body, width = models.trainable_body(run, base, self.auto, self.adapter)
        return self.model(body, width, classes, run.train.scale)

    def load(self, folder: Path) -> tuple[Model, Description]:
        """A saved model of this task, ready to evaluate. UserError when the folder holds none."""
        description = models.read_description(folder)
        if description.task != self.name:
            raise UserError(
                f"{folder} holds a model for task {description.task}, not {self.name}; "
                "run the stage `train` of this run again"
            )
        return self.restore(folder, description), description

    def restore(self, folder: Path, description: Description) -> Model:
        """The model that `description` describes. UserError for a damaged folder."""
        with models.reading(folder, "train"):
            if self.labelled and not description.labels:
                raise ValueError("finelake.json names no classes")
        return models.load(folder, description, self.auto, self.model)

    # --- training ----------------------------------------------------------------------------------------------------

    def mixes(self, model: Model) -> bool:
        """Whether texts that are packed into one sample see each other in this model. For tasks that pack."""
        return False

    @abstractmethod
    def labels(self, labels: np.ndarray, segments: np.ndarray) -> np.ndarray:
        """The labels that count for the loss, the others NO_LOSS; see data.batch.Labels."""

    def aligned(self, scores: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores [targets, classes] and labels [targets], those without loss among them."""
        return scores, labels

    def loss(
        self, scores: torch.Tensor, batch: Batch, smoothing: float = 0.0, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Cross entropy summed over a batch's targets, each times its class's weight; divide by a step's targets."""
        scores, labels = self.aligned(scores, batch.labels)
        return nn.functional.cross_entropy(
            scores.float(), labels, weights, ignore_index=NO_LOSS, reduction="sum", label_smoothing=smoothing
        )

    def tally(self, scores: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """The figures of a validation, each summed over the targets of a batch."""
        chosen, labels = self.aligned(scores.argmax(-1), batch.labels)
        return {"loss": self.loss(scores, batch), "accuracy": (chosen == labels).sum()}

    def rank(self, figures: Mapping[str, float]) -> list[float]:
        """What the best epoch is chosen by, from the means of the figures: larger is better, compared in order."""
        return [-figures["loss"]]

    # --- evaluation --------------------------------------------------------------------------------------------------

    @abstractmethod
    def prompt(self, row: Mapping[str, Any]) -> str:
        """What the model reads of a record of select@RUN."""

    @abstractmethod
    def wanted(self, row: Mapping[str, Any]) -> str:
        """The right answer to a record of select@RUN."""

    @abstractmethod
    def predict(self, folder: Path, part: "Part", prompts: Sequence[str], run: Run, progress: Progress) -> list[str]:
        """The answers of the model in `folder`, once to each sample of a part. `prompts` are in the samples' order."""

    @abstractmethod
    def baselines(self, train: Sequence["Question"], test: Sequence["Question"]) -> dict[str, list[str]]:
        """The answers to `test` of the systems that the model has to beat, by system; at least one."""

    @abstractmethod
    def scorers(self, answers: "Answers", given: Sequence[str]) -> dict[str, Scorer]:
        """A system's scores by metric, in the order of the report; the first decides its verdict."""

    @abstractmethod
    def examples(self, answers: "Answers", run: Run) -> list[int]:
        """Numbers of the rows that the report shows, at most run.evaluate.examples."""

    def panels(self, answers: "Answers") -> list["Panel"]:
        """Parts of the report that only this task has."""
        return []

    def plots(self, answers: "Answers") -> dict[str, list[dict[str, Any]]]:
        """Rows for `dvc plots`, by the name of their file."""
        return {}
