"""Everything shared that touches the outside: files, tables, processes, HTTP, pixels."""
