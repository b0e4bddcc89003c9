"""One job in a peer's environment: `python -m benchmarks.worker ADAPTER JOB SETTINGS`; the last line is the answer."""

import json
import sys

from benchmarks.adapters import adapter
from benchmarks.jobs import capture_job, corpus_job, generation_job, versions


def main() -> None:
    name, job, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    module, environment = adapter(name), settings["environment"]
    if job == "corpus":
        answer = corpus_job([module], environment, settings)
    else:
        timed = {"capture": capture_job, "generation": generation_job}[job]([module], environment, settings)
        answer = {"rows": [row.as_row() for row in timed]}
    print(json.dumps({**answer, "versions": versions()}))


if __name__ == "__main__":
    main()
