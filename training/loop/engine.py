"""The process group of a run, and the DeepSpeed engine that its values ask for."""

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from finelake.lake.config.runs import Run
from finelake.training import libraries
from finelake.training.models import model as models

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine

BACKEND = "inductor"  # of torch.compile
STORE = "FINELAKE_STORE"  # the variable that names the file in which the ranks of one machine meet

# Of malloc.h: from how many bytes a block lies outside of the heap, and how many free ones at the heap's end are kept.
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1


def start_process(log: Path | None = None) -> torch.device:
    """Join the process group (of one, where torchrun started none), once a process; the device of this rank.

    `log`: a file for what DeepSpeed logs.
    """
    libraries.prepare()
    import deepspeed

    if log is not None:
        libraries.redirect("DeepSpeed", log)
    gpu = torch.cuda.is_available()
    if not gpu:
        # Two OpenMP threads stall each other at random on a busy machine: one a rank, more ranks instead.
        torch.set_num_threads(1)
        _keep_freed_memory()
        _without_compiled_ops()
    torch.use_deterministic_algorithms(True, warn_only=gpu)
    # A help for debugging, on by default, that writes each new tensor once more.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    backend, local_rank = "nccl" if gpu else "gloo", int(os.environ.setdefault("LOCAL_RANK", "0"))
    if gpu:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may add up in any order
        torch.cuda.set_device(local_rank)
    if not dist.is_initialized():
        if STORE in os.environ:
            rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
            store = dist.FileStore(os.environ[STORE], world_size)
            dist.init_process_group(backend, store=store, rank=rank, world_size=world_size)
        elif "WORLD_SIZE" in os.environ:
            dist.init_process_group(backend)
        else:
            dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)  # needs no port
    deepspeed.init_distributed(dist_backend=backend, verbose=False)
    return torch.device("cuda", local_rank) if gpu else torch.device("cpu")


def _keep_freed_memory() -> None:
    # glibc gives each large tensor back to the system, which has to clear its pages for the next one: a tenth of a step
    # of a small model goes into that. Other C libraries have no mallopt.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, 2**30)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def _without_compiled_ops() -> None:
    # DeepSpeed would compile a shared-memory reduction on first use, for minutes; gloo does without.
    import deepspeed

    known = getattr(deepspeed.ops, "__compatible_ops__", None)
    if isinstance(known, dict):
        known["deepspeed_shm_comm"] = False


def summed(value: float, device: torch.device) -> float:
    """The sum of `value` over all ranks."""
    tensor = torch.tensor(float(value), dtype=torch.float64, device=device)
    dist.all_reduce(tensor)
    return tensor.item()


def start_engine(model: models.Model, run: Run) -> "DeepSpeedEngine":
    """A model spread over the ranks as the run says, with its optimiser."""
    import deepspeed

    # torch's own optimiser: DeepSpeed's would be compiled on first use, for minutes. Fused, it saves a pass over each
    # tensor for every operation.
    optimizer = torch.optim.AdamW(models.parameter_groups(model, run), lr=run.train.learning_rate or 0.0, fused=True)
    engine = deepspeed.initialize(model=model, optimizer=optimizer, config=configuration(model, run))[0]
    if dist.get_world_size() == 1 and run.train.zero_stage == 0:
        engine.enable_backward_allreduce = False  # it would copy all gradients to add them up over one rank
    if run.train.compile == "always":
        compile_layers(engine.module)
    return engine


def compile_layers(model: torch.nn.Module) -> None:
    """torch.compile for each layer, when it is first computed.

    Equal layers share one compilation, which takes seconds where the whole model takes minutes, and masks, which depend
    on the data, stay outside.
    """
    from accelerate.utils import compile_regions_deepspeed

    compile_regions_deepspeed(model, backend=BACKEND)


def configuration(model: models.Model, run: Run) -> dict[str, Any]:
    """DeepSpeed's configuration of a run."""
    accumulated = run.train.gradient_accumulation_steps
    return {
        "train_micro_batch_size_per_gpu": run.train.global_batch_size // dist.get_world_size() // accumulated,
        "gradient_accumulation_steps": accumulated,
        "gradient_clipping": run.train.max_grad_norm,
        "zero_optimization": _zero(models.trained_parameters(model), run),
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": run.train.precision == "bf16"},
        "fp16": {"enabled": run.train.precision == "fp16"},  # with a loss scale that follows the gradients
        "steps_per_print": 1_000_000_000,
    }


def _zero(trained: int, run: Run) -> dict[str, Any]:
    # ZeRO fills whole buckets at each step; the default of 500 million numbers costs a small model seconds.
    bucket = min(-(-trained // 1024) * 1024, 48 * 2**20)
    stage, offload = run.train.zero_stage, run.train.offload
    zero: dict[str, Any] = {"stage": stage, "reduce_bucket_size": bucket, "allgather_bucket_size": bucket}
    if offload:
        zero["offload_optimizer"] = {"device": "cpu"}
    if offload and stage == 3:
        zero["offload_param"] = {"device": "cpu"}
    return zero
