"""``python -m gatewise``."""

from gatewise.cli.main import main

main()
