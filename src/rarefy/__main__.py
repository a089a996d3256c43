"""``python -m rarefy`` is the command ``rarefy``."""

from rarefy.cli import main

if __name__ == "__main__":
    main()
