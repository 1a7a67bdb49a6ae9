"""HTTP as values: operations to requests, responses to answers, JSON bodies to models; the one importer of cattrs.

May be imported by its subfolder, by `core.conflict` and by all folders above `core`. Imports `core`.
"""
