"""The commands of `python -m etl`, one module each.

A module has `add_options(parser)`, which adds what the command takes besides the settings' options, and
`carry_out(settings, options)`, which does it and returns the exit code. `etl.console.COMMANDS` names them all.
"""
