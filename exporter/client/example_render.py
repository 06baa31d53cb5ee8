"""Render one video on a farm: upload, submit, follow, download. See --help."""

import argparse
import sys

from vapfarm_client import Farm, FarmError, RenderSpec


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Render one Video-As-Prompt video.")
    parser.add_argument("--address", required=True, help="host:port of the farm's gRPC service, as `vapfarm up` prints it")
    parser.add_argument("--token", help="bearer token, on farms that have callers")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--image", required=True)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--reference-prompt", required=True)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--out", default="result.mp4")
    return parser.parse_args()


def render(farm: Farm, options: argparse.Namespace) -> int:
    """Upload, submit, follow, download; returns the exit code."""
    spec = RenderSpec(
        model=options.model,
        image=farm.upload(options.image),
        prompt=options.prompt,
        references=[farm.upload(options.reference)],
        reference_prompts=[options.reference_prompt],
        steps=options.steps,
        seed=options.seed,
    )
    job = farm.submit(spec)
    print(f"job {job.job_id}")
    for update in farm.watch(job.job_id):
        if update.HasField("event"):
            print(f"{update.event.number:4} {update.event.kind} {update.event.stage}".rstrip())
    job = farm.get_job(job.job_id)
    if not job.artifacts:
        print(f"{job.failure.code}: {job.failure.message} ({job.failure.remedy})", file=sys.stderr)
        return 1
    artifact = farm.download(job.job_id, "mp4", options.out)
    print(f"{options.out}: {artifact.size_bytes} bytes, sha256 {artifact.sha256}")
    return 0


def main() -> int:
    """Run the example."""
    options = parse()
    try:
        with Farm(options.address, token=options.token) as farm:
            return render(farm, options)
    except FarmError as error:
        for field in error.fields:
            print(f"  {field.field}: {field.description}", file=sys.stderr)
        print(f"{error}\n{error.remedy}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
