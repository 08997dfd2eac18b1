"""The process atheris runs in: `python -m tests.fuzz.by_coverage TARGET` and libFuzzer's own options. See `running`."""

from __future__ import annotations

import sys
from contextlib import ExitStack


def main() -> None:
    import atheris

    name, options = sys.argv[1], sys.argv[2:]
    with atheris.instrument_imports(include=["riskguard", "tomllib", "json"]):
        from tests.fuzz.targets import opened
    with ExitStack() as stack:
        target = stack.enter_context(opened(name))
        atheris.Setup([sys.argv[0], *options], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
