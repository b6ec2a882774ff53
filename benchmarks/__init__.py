"""Side by side with peers, one command each: `python -m benchmarks.NAME --json FILE`.

`frame` holds the options, the table and the JSON report that all of them share; `cells` keeps
what long tables have measured so far; `peers` gives every peer an environment of its own.
Nothing here is part of the product: it is used as a user uses it, by command and over HTTP.
"""
