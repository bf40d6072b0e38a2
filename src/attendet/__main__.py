"""`python -m attendet`, which is how torchrun starts several processes."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        # Python puts the working folder first. No module of it, such as a queue.py, may take the place of another.
        del sys.path[0]
    from attendet.cli.main import run

    run()
