"""The command line: one module a command group, each imported when its command is called and not before.

What enters is what the user typed; what leaves is a table for people or, with `--json`, the same fields that Python
gets. `main` chooses the command and turns errors into one line and an exit code, `opening` finds the runs, `printing`
shows them. Nothing here writes to a run.
"""
