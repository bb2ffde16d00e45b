"""Work on what is not trusted, in a process of its own with limits: one that dies takes nothing with it."""

import resource
import subprocess
import sys
from pathlib import Path


def run_child(code: str, *words: str, seconds: int) -> tuple[str, str]:
    """Run Python ``code`` with ``words`` as its arguments; return what it printed, and why it failed.

    The reason is the last line of its complaint, empty where it ended well.
    """
    # -P: the folder that the user stands in may be the very one that somebody sent.
    command = [sys.executable, "-P", "-W", "ignore", "-c", code, *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return "", f"it took longer than {seconds} s"
    if done.returncode == 0:
        return done.stdout, ""
    said = done.stderr.strip().splitlines()[-1:] or ["it died"]
    return done.stdout, said[0][:200]


def limit_memory(more_bytes: int) -> None:
    """Let this process grow by so much and no more, where the system tells how large it is; leave no core."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return
    used = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (used + more_bytes, used + more_bytes))
