"""A scheduler for tests, called as Slurm's ``sbatch``: does a job at once, and kills every second task of an array."""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--wrap", required=True)
    parser.add_argument("--array", default="1-1")
    parser.add_argument("--dependency", default="")
    asked, _ = parser.parse_known_args()
    diary = Path(os.environ["SBATCH_DIARY"])
    with diary.open("a") as stream:
        stream.write(f"{asked.array} {asked.dependency}\n")
    numbers = range(1, int(asked.array.split("-")[1]) + 1)
    tasks = [subprocess.Popen(asked.wrap, shell=True, start_new_session=True, stdout=sys.stderr) for _ in numbers]
    for task in tasks[1::2]:
        time.sleep(random.Random(task.args).uniform(1, 4))
        with diary.open("a") as stream:
            stream.write("killed\n" if task.poll() is None else "ended before\n")
        if task.poll() is None:
            os.killpg(task.pid, signal.SIGKILL)
    for task in tasks:
        task.wait()
    print("4711")


main()
