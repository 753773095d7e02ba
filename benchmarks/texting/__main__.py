"""Texting under load, and through everything that can go wrong at once.

``python -m benchmarks.texting load``: a hundred texts a second come in. ``… chaos``: two thousand
texts go out and people answer, while processes die and the carrier misbehaves. Both run a whole
installation (``manage.py run``, a database of its own). Everything is simulated.
"""

import argparse
import sys

from benchmarks.texting import chaos, load


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.texting")
    kinds = parser.add_subparsers(required=True)
    for kind in (load, chaos):
        own = kinds.add_parser(kind.__name__.rpartition(".")[2], help=kind.__doc__)
        kind.options(own)
        own.set_defaults(run=kind.run)
    options = parser.parse_args()
    code: int = options.run(options)
    return code


if __name__ == "__main__":
    sys.exit(main())
