"""The command line `fielding`: a folder for each command, and `shared` for what several of them use.

May be imported by `__main__`. `app` imports the commands; a command imports `shared`, `sandbox`, `session`, `journal`,
`core` and the public package, and no other command; `shared` imports no command. click and rich are imported here only;
they come with the extra `cli`.
"""
