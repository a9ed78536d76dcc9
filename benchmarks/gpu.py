"""What only a GPU can tell, each part in a process of its own with a limit: python -m benchmarks.gpu

Where there is no GPU the same runs on the CPU, in tiny sizes, to see that it would run.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

LIMIT_S = 460
"""Of all parts together."""


SERIAL = (
    *("model.width=50", "seed=0,1", "trainer.max_steps=300"),
    *("trainer.max_time=00:00:05:00", "hydra/launcher=basic"),
)


class Part(NamedTuple):
    """A command after ``python``, and the most seconds that it may take."""

    name: str
    arguments: Sequence[str]
    limit_s: int


def parts(device: str, out: Path) -> list[Part]:
    """Return what is run, what matters most first."""
    is_gpu = device == "cuda"
    quick = () if is_gpu else ("--quick",)
    short = ("trainer=gpu",) if is_gpu else ("trainer=cpu", "debug=fast")
    seeds = 100 if is_gpu else 2
    widths = "1,2,3,4,5,6,8,12,25,50,75,100,150,200" if is_gpu else "2,5"
    sweep = (
        "scripts/train.py",
        "-m",
        f"model.width={widths}",
        "data.input_dim=10",
        "data.batch_size=32",
        "logger=none",
    )
    sweep += ("training.checkpoint=false", "training.stopping.train_loss=null", *short)

    def places(name: str) -> tuple[str, ...]:
        return (f"hydra.sweep.dir={out}/{name}", f"name={name}")

    def bench(name: str, limit_s: int) -> Part:
        folder = f"{out}/{name}"
        command = ("-m", "benchmarks", "--device", device, "--only", name, "--folder", folder, *quick)
        return Part(name, command, limit_s)

    return [
        Part("tests", ("-m", "pytest", "-q", "-n", "0", "-m", "gpu", "tests/train", "tests/measures"), 120),
        Part("main job", ("scripts/train.py", "-m", "model.width=1,2,5,50,200", *places("main"), *short), 60),
        Part("sweep", (*sweep, f"seed=range({seeds})", "trainer.max_steps=2000", *places("sweep")), 90),
        # Two jobs of a few steps in Lightning's single steps, one by one: what a serial sweep takes a step.
        Part("serial", (*sweep, *SERIAL, *places("serial")), 60),
        bench("stacks", 90),
        bench("replay", 120),
        Part("study", ("scripts/train.py", "study=double_descent", *places("study"), *short), 90),
        bench("measures", 60),
    ]


def main() -> None:
    """Run all parts and write ``gpu.json`` after each; exit with 1 if one has failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", default="outputs/gpu", type=Path, help="a folder for gpu.json and all else")
    out = parser.parse_args().out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    card = torch.cuda.get_device_name() if device == "cuda" else "no GPU: tiny sizes on the CPU"
    found: dict[str, Any] = {"card": card, "torch": torch.__version__, "parts": {}}
    deadline = time.monotonic() + LIMIT_S
    for part in parts(device, out):
        found["parts"][part.name] = run(part, deadline - time.monotonic(), out)
        (out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    failed = [name for name, result in found["parts"].items() if result["code"] != 0]
    print(f"\n{card}: {out / 'gpu.json'}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    sys.exit(bool(failed))


def run(part: Part, left_s: float, out: Path) -> dict[str, Any]:
    """Run a part, print what it prints; return its exit code, its seconds and its last lines."""
    limit_s = min(part.limit_s, left_s)
    print(f"\n== {part.name} (at most {limit_s:.0f} s)", flush=True)
    if limit_s < 5:
        return {"code": None, "seconds": 0.0, "said": ["no time was left"]}
    began, lines = time.monotonic(), out / f"{part.name.replace(' ', '_')}.log"
    command = ["timeout", "-k", "5", f"{limit_s:.0f}", sys.executable, *part.arguments]
    with lines.open("w") as log:
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=os.environ).returncode
    said = lines.read_text(errors="replace").splitlines()
    print("\n".join(said[-40:]), flush=True)
    seconds = round(time.monotonic() - began, 1)
    memory = _peak_memory()
    return {"code": code, "seconds": seconds, "command": part.arguments, "memory": memory, "said": said[-60:]}


def _peak_memory() -> str:
    """Return what the card says of its memory, if there is one."""
    try:
        query = ["nvidia-smi", "--query-gpu=memory.used,memory.total", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


if __name__ == "__main__":
    main()
