"""What the commands do. Loaded when a command runs, never for `--help`."""
