"""`python -m lartpc`: the command `lartpc`."""

from lartpc.cli.main import main

if __name__ == "__main__":
    main(prog_name="lartpc")
