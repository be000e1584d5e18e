"""`python -m cosim` and the `cosim` command."""

from __future__ import annotations

import signal


def main() -> None:
    """Load the commands and run the one that is asked for; Ctrl-C meanwhile ends the process without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from cosim import cli

    try:
        cli.main()
    finally:  # What is left is Python's own end, which takes handlers down before it is over.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


if __name__ == "__main__":
    main()
