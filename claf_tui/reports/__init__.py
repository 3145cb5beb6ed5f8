"""What is printed without a console: tables, lines, JSON."""
