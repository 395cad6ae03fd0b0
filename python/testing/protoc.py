"""protoc's view of messages, for the tests of those that are written by hand."""

import pathlib
import subprocess

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
FILES = [f"tandem/{name}.proto"
         for name in ("env/v1/env", "replay/v1/replay", "snapshot/v1/snapshot")]


def protoc(how: str, message: str, raw: bytes) -> bytes:
    """how: "decode", bytes to text, or "encode"; message: its name without the package "tandem", of
    FILES or what they import."""
    return subprocess.run(["protoc", f"--{how}=tandem.{message}", f"-I{PROTO}", *FILES],
                          input=raw, capture_output=True, check=True).stdout
