"""The report of a run: one HTML file that needs nothing else, and TensorBoard logs.

`gather` asks the services, the pure modules compute what is shown (`trials`, `lineage`, `front`,
`genes`, `operators`, `costs`, `confusion`), `plots` draws and `page` puts it together. The
report is made from what the APIs answer, so it can be made of a data folder, beside a running
`dicebox up`, and of a server far away.
"""
