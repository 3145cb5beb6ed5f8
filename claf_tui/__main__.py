"""`python -m claf_tui` is the same as `claf-tui`."""

from claf_tui.cli import main

main()
