"""The rule table, value by value, and the combinations that are refused."""

import pytest

from finelake.lake.config.runs import Base, Run, with_values
from finelake.lake.errors import UserError
from finelake.training.models.strategies import Hardware, choose, refuse
from finelake.training.tasks import find

RUN = Run(task="classify", base=Base(kind="folder", name="base"))
INSTRUCT = with_values(RUN, task="instruct", max_length=128)
CPU = Hardware(gpu=False, bf16=True, flash=False)
GPU = Hardware(gpu=True, bf16=True, flash=True)
OLD = Hardware(gpu=True, bf16=False, flash=False)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (999, ("lora", 5e-5, 8, 16, None)),
        (1_000, ("lora", 5e-5, 16, 32, None)),
        (99_999, ("lora", 5e-5, 32, 32, None)),
        (100_000, ("full", 5e-6, None, None, None)),
    ],
)
def test_the_strategy_follows_the_number_of_samples(samples, expected):
    run, _ = choose(RUN, samples, 12, CPU)
    train = run.train
    assert (train.strategy, train.learning_rate, train.lora_rank, train.lora_alpha, train.prefix_length) == expected


def test_a_large_adapter_and_prefixes():
    run, _ = choose(with_values(RUN, strategy="lora"), 200_000, 12, CPU)
    assert (run.train.lora_rank, run.train.lora_alpha) == (64, 32)
    lengths = [
        choose(with_values(RUN, strategy="prefix"), 10, layers, CPU)[0].train.prefix_length for layers in (1, 9, 10, 32)
    ]
    assert lengths == [1, 1, 2, 6]


def test_what_a_run_gives_is_never_changed():
    given = with_values(
        RUN,
        strategy="lora",
        lora_rank=3,
        lora_alpha=5,
        learning_rate=0.1,
        precision="fp32",
        attention="eager",
        compile="never",
    )
    run, choices = choose(given, 500_000, 12, GPU)
    assert run == given
    assert [(choice.name, choice.reason) for choice in choices] == [("strategy", "the run says so")]


def test_each_choice_says_why():
    _, choices = choose(RUN, 120, 12, CPU)
    assert {choice.name: (choice.value, choice.reason) for choice in choices} == {
        "strategy": ("lora", "120 samples, fewer than 100000"),
        "learning_rate": (5e-5, "the base rate"),
        "lora_rank": (8, "120 samples"),
        "lora_alpha": (16, "120 samples"),
        "precision": ("fp32", "no GPU with bf16"),
        "attention": ("sdpa", "PyTorch's own kernels, for every mask"),
        "compile": ("never", "no GPU"),
    }


def test_the_device_decides_precision_and_compilation():
    assert [choose(RUN, 10, 12, device)[0].train.precision for device in (CPU, GPU, OLD)] == ["fp32", "bf16", "fp32"]
    assert [choose(RUN, 10, 12, device)[0].train.compile for device in (CPU, GPU)] == ["never", "always"]
    assert choose(with_values(RUN, zero_stage=3), 10, 12, GPU)[0].train.compile == "never"


PREFIX, FLASH = {"strategy": "prefix"}, {"attention": "flash_attention_2"}
REFUSED = [
    (
        with_values(RUN, **PREFIX, gradient_checkpointing=True),
        CPU,
        "strategy prefix with gradient_checkpointing: a prefix is a cache of keys, which checkpointing drops; "
        "set gradient_checkpointing: false or strategy: lora",
    ),
    (
        with_values(INSTRUCT, **PREFIX),
        CPU,
        "strategy prefix with packing: packed texts would share one prefix's positions; "
        "set runs.tiny.tokenize.packing: false",
    ),
    (
        with_values(RUN, **PREFIX, zero_stage=3),
        CPU,
        "strategy prefix with zero_stage 3: the prefix is read outside of the layers that gather it; "
        "set zero_stage to 0, 1 or 2",
    ),
    (
        with_values(INSTRUCT, **FLASH),
        GPU,
        "attention flash_attention_2 with packing: it takes no mask that keeps packed texts apart; "
        "set attention: sdpa or runs.tiny.tokenize.packing: false",
    ),
    (
        with_values(RUN, **FLASH, precision="fp32"),
        GPU,
        "attention flash_attention_2 in precision fp32: its kernels know half precision alone; set precision: bf16",
    ),
    (
        with_values(RUN, **FLASH, precision="bf16"),
        CPU,
        "attention flash_attention_2 needs a GPU and the package flash_attn; set attention: sdpa",
    ),
    (
        with_values(RUN, attention="flex_attention"),
        CPU,
        "attention flex_attention needs a GPU: its kernels have no backward pass on a CPU; set attention: sdpa",
    ),
    (with_values(RUN, precision="fp16"), CPU, "precision fp16 needs a GPU; set precision: fp32"),
    (with_values(RUN, precision="bf16"), OLD, "precision bf16 needs a GPU of a newer kind; set precision: fp16"),
    (
        with_values(RUN, compile="always", zero_stage=3),
        CPU,
        "compile always with zero_stage 3: parameters come and go while a step runs; set compile: never",
    ),
]


def check(run: Run, device: Hardware) -> None:
    """As train does it."""
    packed = find(run.task).packs and run.tokenize.packing
    refuse("runs.tiny", choose(run, 100, 12, device)[0], device, packed)


@pytest.mark.parametrize(("run", "device", "sentence"), REFUSED)
def test_what_does_not_go_together_is_refused_by_name(run, device, sentence):
    with pytest.raises(UserError) as refused:
        check(run, device)
    assert str(refused.value) == f"params.yaml: runs.tiny.train.{sentence}"


@pytest.mark.parametrize(
    "run",
    [
        with_values(RUN, **PREFIX, zero_stage=2),
        with_values(INSTRUCT, **PREFIX, packing=False),
        with_values(INSTRUCT, **FLASH, packing=False),
        with_values(RUN, precision="fp16", gradient_checkpointing=True, zero_stage=3),
    ],
)
def test_what_lies_beside_a_refusal_goes_together(run):
    check(run, GPU)


@pytest.mark.parametrize("device", [CPU, GPU, OLD])
@pytest.mark.parametrize("run", [RUN, INSTRUCT, with_values(RUN, zero_stage=3, offload=True)])
def test_what_the_rules_choose_goes_together(run, device):
    check(run, device)
