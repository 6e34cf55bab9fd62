"""`python -m perdure`: the command line, as by `perdure`."""

from perdure.cli.main import main

if __name__ == "__main__":
    main()
