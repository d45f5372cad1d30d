"""classify: one class of a text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from finelake.lake.config.runs import Run
from finelake.training.data.batch import Batch
from finelake.training.loop.progress import Progress
from finelake.training.models.model import Model, on_device
from finelake.training.tasks.task import Scorer, Task

if TYPE_CHECKING:
    from finelake.training.data.samples import Part
    from finelake.training.evaluation.answers import Answers, Question
    from finelake.training.evaluation.report import Panel


class Classifier(Model):
    """Encoder, mean over the real tokens, features of length one, linear head, scaled (as cosine softmax heads do)."""

    head: nn.Linear

    def __init__(self, body: nn.Module, width: int, classes: int, scale: float):
        super().__init__(body, nn.Linear(width, classes))
        self.scale = scale
        nn.init.zeros_(self.head.weight)  # every class equal at first; the features alone break the tie
        nn.init.zeros_(self.head.bias)

    def features(self, batch: Batch) -> torch.Tensor:
        """Unit vectors [samples, width]."""
        real = (batch.segments > 0).to(torch.int64)
        hidden = self.body(input_ids=batch.input_ids, attention_mask=real).last_hidden_state
        weights = real.unsqueeze(-1).to(hidden.dtype)
        return nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=-1)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Scores [samples, classes]."""
        return self.scale * self.head(self.features(batch))


class Classify(Task):
    name = "classify"
    title = "Classification"
    examples_title = "Errors drawn at random"
    labelled = True

    def model(self, body: nn.Module, width: int, classes: int, scale: float) -> Model:
        return Classifier(body, width, classes, scale)

    def labels(self, labels: np.ndarray, segments: np.ndarray) -> np.ndarray:
        return labels[:, 0]

    def rank(self, figures: Mapping[str, float]) -> list[float]:
        # A classifier is chosen by what it is for; its loss can rise while its answers still get better.
        return [figures["accuracy"], -figures["loss"]]

    def prompt(self, row: Mapping[str, Any]) -> str:
        return str(row["text"])

    def wanted(self, row: Mapping[str, Any]) -> str:
        return str(row["label"])

    @torch.no_grad()
    def predict(self, folder: Path, part: "Part", prompts: Sequence[str], run: Run, progress: Progress) -> list[str]:
        from finelake.training.data.loader import scan  # brings Petastorm, which a loaded model does without

        model, description = self.load(folder)
        device = on_device(model)
        chosen = np.zeros(part.samples, dtype=np.int64)
        for numbers, batch in scan(part, self.labels, run.train.eval_batch_size):
            chosen[numbers] = model(batch.to(device)).argmax(-1).cpu().numpy()
            progress.update(progress.done + len(numbers))
        progress.close()
        return [description.labels[index] for index in chosen]

    def baselines(self, train: Sequence["Question"], test: Sequence["Question"]) -> dict[str, list[str]]:
        from finelake.training.evaluation import baselines

        texts, classes = [question.prompt for question in train], [question.wanted for question in train]
        return baselines.classify(texts, classes, [question.prompt for question in test])

    def scorers(self, answers: "Answers", given: Sequence[str]) -> dict[str, Scorer]:
        from finelake.training.evaluation import metrics

        names = {name: index for index, name in enumerate(sorted({*answers.wanted, *given}))}
        predicted, true = (np.array([names[name] for name in column]) for column in (given, answers.wanted))
        return {
            "accuracy": metrics.mean(predicted == true),
            "macro_f1": metrics.macro_f1(predicted, true),
        }

    def examples(self, answers: "Answers", run: Run) -> list[int]:
        """Errors, drawn at random."""
        wrong = [index for index, (actual, predicted) in enumerate(answers.pairs()) if actual != predicted]
        drawn = np.random.default_rng(run.seed).permutation(wrong)[: run.evaluate.examples]
        return sorted(drawn.astype(int).tolist())

    def panels(self, answers: "Answers") -> list["Panel"]:
        from finelake.training.evaluation import confusion

        return confusion.panels(list(answers.pairs()))

    def plots(self, answers: "Answers") -> dict[str, list[dict[str, Any]]]:
        return {"confusion": [{"actual": actual, "predicted": predicted} for actual, predicted in answers.pairs()]}


TASK = Classify()
