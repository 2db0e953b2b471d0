"""``make fuzz``: every target under atheris, guided by coverage, for a bounded time.

    python -m tests.fuzz [--seconds N] [TARGET ...]

One process a target, because libFuzzer ends its process. What it finds is kept in ``build/fuzz``;
``python -m tests.fuzz --again FILE TARGET`` repeats one finding.
"""

import argparse
import subprocess
import sys
from pathlib import Path

FINDINGS = Path("build/fuzz")
LONGEST_INPUT = 2048


def arguments() -> argparse.Namespace:
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415  # see _run()

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument("--again", type=Path, metavar="FILE", help="repeat one finding")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    options = parser.parse_args()
    unknown = sorted(set(options.targets) - set(TARGETS))
    if unknown or (options.again and len(options.targets) != 1):
        parser.error(f"unknown: {', '.join(unknown)}" if unknown else "--again takes one target")
    options.targets = options.targets or list(TARGETS)
    return options


def run(name: str, seconds: int) -> bool:
    """One target in a process of its own; True when it found nothing."""
    folder = FINDINGS / name
    folder.mkdir(parents=True, exist_ok=True)
    limits = (f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}", "-timeout=30")
    places = (f"-artifact_prefix={folder}/", "-rss_limit_mb=4096", "-print_final_stats=1")
    command = (sys.executable, "-m", "tests.fuzz.one", name, *limits, *places)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    tried = [line.split()[-1] for line in done.stderr.splitlines() if "number_of_exec" in line]
    print(
        f"{name:<22}{'nothing found' if not done.returncode else 'FOUND SOMETHING'} "
        f"({tried[-1] if tried else '?'} inputs)",
        flush=True,
    )
    if done.returncode:
        print(done.stderr[-4000:])
    return not done.returncode


def main() -> int:
    options = arguments()
    if options.again:
        from tests.fuzz.one import again  # noqa: PLC0415  # atheris

        again(options.targets[0], options.again.read_bytes())
        return 0
    found = [name for name in options.targets if not run(name, options.seconds)]
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
