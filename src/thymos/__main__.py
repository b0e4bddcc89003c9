"""`python -m thymos` does what `thymos` does."""

from thymos.cli.app import main

if __name__ == "__main__":
    main()
