"""`python -m plumbline` is the `plumbline` command."""

from .cli import main

if __name__ == "__main__":
    main()
