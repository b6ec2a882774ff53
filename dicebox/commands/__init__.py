"""The commands: parse, call, show. What they do lives in the modules beside this folder."""
