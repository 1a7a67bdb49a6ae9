"""Values and decisions without I/O: models, actions, errors, settings.

May be imported by every folder; the sandbox takes only `models` and `errors`. Imports nothing of this package but its
own modules. Pure, as are its subfolders: no event loop, clock, random numbers, environment, file, log or HTTP
library.
"""
