"""instruct: a reply to a prompt, written by a causal language model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from peft import TaskType
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from finelake.lake.config.contract import NO_LOSS
from finelake.lake.config.runs import Run
from finelake.training.data.batch import Batch
from finelake.training.loop.progress import Progress
from finelake.training.models.model import Model, on_device, reading
from finelake.training.tasks.task import Scorer, Task

if TYPE_CHECKING:
    from finelake.training.data.samples import Part
    from finelake.training.evaluation.answers import Answers, Question


class Causal(Model):
    """A causal language model in which packed texts never see each other."""

    def forward(self, batch: Batch) -> torch.Tensor:
        """Scores of the next token [samples, tokens, vocabulary]."""
        if int(batch.segments.max()) <= 1:
            # One text a row, padded on the right: causal attention alone keeps real tokens from seeing padding.
            return self.body(input_ids=batch.input_ids, use_cache=False).logits
        # From positions that restart, transformers makes the mask of each layer's kernel, sliding windows included.
        positions = segment_positions(batch.segments)
        return self.body(input_ids=batch.input_ids, position_ids=positions, use_cache=False).logits


def segment_positions(segments: torch.Tensor) -> torch.Tensor:
    """Position of each token within its segment, [samples, tokens]."""
    index = torch.arange(segments.shape[1], device=segments.device).expand_as(segments)
    starts = torch.ones_like(segments, dtype=torch.bool)
    starts[:, 1:] = segments[:, 1:] != segments[:, :-1]
    return index - torch.where(starts, index, 0).cummax(dim=1).values


PROBE = ([1, 2, 3, 4, 5], [3, 1, 2, 6])  # tokens of two texts; every vocabulary has them


def _probe(ids: list[int], segments: list[int]) -> Batch:
    tokens = torch.tensor([ids])
    return Batch(tokens, tokens, torch.tensor([segments]), len(ids), len(ids))


class Instruct(Task):
    name = "instruct"
    title = "Instruction tuning"
    titles = {"tfidf": "TF-IDF nearest prompt's reply"}
    examples_title = "Examples: the worst by ROUGE-L, then some drawn at random"
    auto = AutoModelForCausalLM
    adapter = TaskType.CAUSAL_LM
    packs = True

    def model(self, body: nn.Module, width: int, classes: int, scale: float) -> Model:
        return Causal(body)

    @torch.no_grad()
    def mixes(self, model: Model) -> bool:
        # Architectures differ in what they make of positions that restart; only their own numbers show it.
        was_training = model.training
        model.eval()
        first, second = PROBE
        with torch.compiler.set_stance("force_eager"):
            packed = model(_probe([*first, *second], [1] * len(first) + [2] * len(second)))[0, len(first) :]
            alone = model(_probe(second, [1] * len(second)))[0]
        model.train(was_training)
        return not torch.allclose(packed, alone, atol=1e-3 * max(float(alone.abs().max()), 1.0), rtol=0)

    def labels(self, labels: np.ndarray, segments: np.ndarray) -> np.ndarray:
        # Position t is predicted from t - 1: never across the border of two packed texts.
        labels[:, 0] = NO_LOSS
        labels[:, 1:][segments[:, 1:] != segments[:, :-1]] = NO_LOSS
        return labels

    def aligned(self, scores: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return scores[:, :-1].flatten(0, 1), labels[:, 1:].flatten()

    def prompt(self, row: Mapping[str, Any]) -> str:
        return str(row["prompt"])

    def wanted(self, row: Mapping[str, Any]) -> str:
        return str(row["target"])

    @torch.no_grad()
    def predict(self, folder: Path, part: "Part", prompts: Sequence[str], run: Run, progress: Progress) -> list[str]:
        """The reply to each prompt: greedy, at most run.evaluate.max_new_tokens tokens."""
        model, _ = self.load(folder)
        device = on_device(model)
        with reading(folder, "train"):
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        room = run.tokenize.max_length - run.evaluate.max_new_tokens
        coded = [tokenizer(prompt, add_special_tokens=False)["input_ids"][-room:] for prompt in prompts]
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        replies = [""] * len(coded)
        by_length = sorted(range(len(coded)), key=lambda index: len(coded[index]))
        for first in range(0, len(coded), run.train.eval_batch_size):
            chosen = by_length[first : first + run.train.eval_batch_size]
            width = max(len(coded[index]) for index in chosen)
            # Padding on the left: what is generated then follows each prompt directly.
            ids = torch.tensor([[pad] * (width - len(coded[i])) + coded[i] for i in chosen], device=device)
            real = torch.tensor([[0] * (width - len(coded[i])) + [1] * len(coded[i]) for i in chosen], device=device)
            written = model.body.generate(  # type: ignore[operator]
                input_ids=ids,
                attention_mask=real,
                max_new_tokens=run.evaluate.max_new_tokens,
                do_sample=False,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=pad,
            )[:, width:]
            for index, text in zip(chosen, tokenizer.batch_decode(written, skip_special_tokens=True), strict=True):
                replies[index] = text.strip()
            progress.update(progress.done + len(chosen))
        progress.close()
        return replies

    def baselines(self, train: Sequence["Question"], test: Sequence["Question"]) -> dict[str, list[str]]:
        from finelake.training.evaluation import baselines

        known = [(question.prompt, question.wanted, question.lang) for question in train]
        return baselines.answer(known, [(question.prompt, question.lang) for question in test])

    def scorers(self, answers: "Answers", given: Sequence[str]) -> dict[str, Scorer]:
        from finelake.training.evaluation import metrics

        wanted = answers.wanted
        return {
            "bleu": metrics.Bleu(given, wanted, [row["lang"] for row in answers.rows]),
            "rouge_l": metrics.mean(metrics.rouge_l(given, wanted)),
            "exact_match": metrics.mean(metrics.exact_match(given, wanted)),
        }

    def examples(self, answers: "Answers", run: Run) -> list[int]:
        """Half the worst by ROUGE-L, half drawn at random."""
        from finelake.training.evaluation import metrics
        from finelake.training.evaluation.answers import MODEL

        count, scores = run.evaluate.examples, metrics.rouge_l(answers.given[MODEL], answers.wanted)
        worst = np.argsort(scores, kind="stable")[: count // 2].tolist()
        rest = np.random.default_rng(run.seed).permutation(sorted(set(range(len(scores))) - set(worst)))
        return [*worst, *sorted(rest[: count - len(worst)].astype(int).tolist())]


TASK = Instruct()
