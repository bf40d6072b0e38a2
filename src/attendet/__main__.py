"""`python -m attendet`, which is how torchrun starts several processes."""

from attendet.cli.main import run

if __name__ == "__main__":
    run()
