"""`python -m attendet_runtime`, the same as the command `attendet-runtime`."""

import sys

if __name__ == "__main__":
    from attendet_runtime.command import main

    sys.exit(main())
