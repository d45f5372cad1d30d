"""An object store on this machine, for trying and testing Finelake: `python -m finelake.demo.object_store`.

SeaweedFS, whose binary comes with the development packages. It checks keys and honours conditional writes, which the
commits of a lake need. It listens only on the loopback address.
"""

import contextlib
import json
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as fs

BUCKET = "lake"
REGION = "us-east-1"
HOST = "127.0.0.1"
SERVERS = ("master", "volume", "filer", "s3")
START = 60  # seconds that the servers may take to start


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[dict[str, str]]:
    """Run an object store with its data in `folder`; yields the environment variables for its bucket `lake`.

    It ends with the block; its data cannot be used afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ports = _free_ports(2 * len(SERVERS))
    environment = {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{ports[SERVERS.index('s3')]}",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": secrets.token_hex(8),
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(16),
    }
    with (folder / "server.log").open("wb") as log:
        # Without the caller's environment, from which the server would read keys.
        process = subprocess.Popen(
            _command(folder, ports, environment), stdout=log, stderr=log, env={"HOME": str(folder)}
        )
    try:
        _make_bucket(environment, process)
        yield environment
    finally:
        process.kill()  # a regular shutdown takes half a minute
        process.wait()
        for port in ports:
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [listening.getsockname()[1] for listening in sockets]
    for listening in sockets:
        listening.close()
    return ports


def _command(folder: Path, ports: list[int], environment: dict[str, str]) -> list[str]:
    """The command of SeaweedFS with all its servers in one process and no other port open."""
    keys = folder / "keys.json"
    keys.touch(mode=0o600)
    pair = {"accessKey": environment["AWS_ACCESS_KEY_ID"], "secretKey": environment["AWS_SECRET_ACCESS_KEY"]}
    keys.write_text(json.dumps({"identities": [{"name": "lake", "credentials": [pair], "actions": ["Admin"]}]}))
    numbers = iter(ports)
    listen = [f"-{server}.port={next(numbers)}" for server in SERVERS]
    listen += [f"-{server}.port.grpc={next(numbers)}" for server in SERVERS]
    return [
        *("setpriv", "--pdeathsig", "KILL"),  # it ends when this process ends, in any way
        str(Path(sys.prefix) / "bin" / "weed"),
        "server",
        f"-dir={folder}",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        *listen,
        "-s3",
        f"-s3.config={keys}",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-volume.max=0",
        "-master.volumeSizeLimitMB=256",
        "-master.telemetry=false",
    ]


def _make_bucket(environment: dict[str, str], process: subprocess.Popen) -> None:
    """Create the bucket as soon as the servers answer, and check that a file can be written."""
    store = fs.S3FileSystem(
        endpoint_override=environment["AWS_ENDPOINT_URL"],
        region=REGION,
        access_key=environment["AWS_ACCESS_KEY_ID"],
        secret_key=environment["AWS_SECRET_ACCESS_KEY"],
        allow_bucket_creation=True,
    )
    end = time.monotonic() + START
    while True:
        try:
            store.create_dir(BUCKET)
            with store.open_output_stream(f"{BUCKET}/ready") as stream:
                stream.write(b"ready")
            store.delete_file(f"{BUCKET}/ready")
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.2)


def main() -> None:
    """Serve until SIGINT or SIGTERM, and print the store's environment variables for a shell."""
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as environment:
        for name, value in (environment | {"FINELAKE_LAKE": f"s3a://{BUCKET}/demo"}).items():
            print(f"export {name}={value}", flush=True)
        signal.sigwait(ends)


if __name__ == "__main__":
    main()
